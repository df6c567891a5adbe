"""The limits in force on an account, taken by the command, the API's jobs and the admin's action alike."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from nautilus_site.common.clock import now
from tests.integration.trading.api.world import build_world
from tests.integration.trading.jobs.workers import BODY, by_command, work
from trading.domain.values import UNITS
from trading.models import Account, CorrelationGroup, ResearchJob, RiskLimit, Strategy, StrategyInstance
from trading.services.backtests import BacktestRequest, backtest_prepare
from trading.services.backtests.limits import AskedLimits
from trading.services.controls.limit_kinds import LIMITS
from trading.services.jobs import job_create, job_of_instance, job_request


@pytest.fixture
def account(db: None) -> Account:
    return build_world().account


@pytest.fixture
def averages(account: Account) -> StrategyInstance:
    """A strategy of another name than its kind, with half of 4,000 on ETHUSDT."""
    strategy = Strategy.objects.create(
        name="averages",
        kind="moving_average",
        interval="1h",
        updated_at=now(),
        parameters={"fast": 5, "slow": 20},
    )
    instrument = account.symbolallowance_set.get(instrument__symbol="ETHUSDT").instrument
    return StrategyInstance.objects.create(
        strategy=strategy,
        account=account,
        instrument=instrument,
        allocation=Decimal(4_000),
        weight=Decimal("0.5"),
    )


def limit(name: str, scope: str, value: str) -> None:
    kind = LIMITS[name]
    RiskLimit.objects.update_or_create(
        name=name,
        scope=scope,
        defaults={
            "value": Decimal(value), "unit": kind.unit, "tighter": kind.tighter, "description": kind.description,
            "changed_by": "test", "changed_at": now(),
        },
    )  # fmt: skip


def prepared(account: Account, **more: Any) -> Any:
    asked = AskedLimits(account.name, more.pop("values", {}))
    return backtest_prepare(BacktestRequest("moving_average", "ETHUSDT", "1h", limits=asked, **more)).inputs


def test_a_run_takes_the_tightest_value_over_the_scopes_of_what_is_deployed(
    account: Account, averages: StrategyInstance
) -> None:
    limit("exposure_strategy_symbol", "strategy_symbol:averages:ETHUSDT", "111")
    limit("exposure_symbol", "symbol:ETHUSDT", "222")
    limit("exposure_account", f"account:{account.name}", "333")
    limit("exposure_strategy", "strategy:another", "1")
    limit("market_slippage", f"account:{account.name}", "15")
    limit("daily_loss", f"account:{account.name}", "44")
    limit("max_drawdown", "strategy:averages", "0.05")
    CorrelationGroup.objects.create(
        name="majors", symbols=["BTCUSDT", "ETHUSDT"], changed_by="test", changed_at=now()
    )
    inputs = prepared(account)
    (assignment,), settings = inputs.assignments, inputs.settings
    assert assignment.limits.exposure_strategy_symbol == 111 * UNITS
    assert assignment.limits.exposure_symbol == 222 * UNITS
    assert assignment.limits.exposure_account == 333 * UNITS
    assert assignment.limits.exposure_strategy == LIMITS["exposure_strategy"].default * UNITS
    assert (assignment.losses.drawdown, assignment.losses.daily_loss) == (50_000, None)
    assert assignment.losses.streak == LIMITS["max_loss_streak"].default
    assert settings.losses.daily_loss == 44 * UNITS
    assert settings.groups == {"majors": ("BTCUSDT", "ETHUSDT")}
    # The planner's largest part of an order and the collar of market orders are limits too.
    assert (settings.max_child, settings.market_collar_bps) == (
        LIMITS["max_notional"].default * Decimal("0.98"),
        15,
    )
    assert inputs.limit_table(assignment).exposure_group == LIMITS["exposure_group"].default * UNITS


def test_the_command_is_stopped_by_the_rail_that_would_stop_it_live(account: Account) -> None:
    words = ("backtest", "moving_average", "--param", "fast=5", "slow=20", "--allocation", "4000")
    free = by_command(*words)
    assert free["trades"] > 3
    limit("exposure_symbol", "symbol:ETHUSDT", "1000")
    assert by_command(*words, "--limits", account.name)["trades"] == 0
    out, notes = io.StringIO(), io.StringIO()
    bars = ("--symbol", "ETHUSDT", "--interval", "1h", "--limits", account.name)
    call_command(*words, *bars, stdout=out, stderr=notes)
    assert re.search(r"^refused orders +exposure_symbol [\d,]+$", out.getvalue(), re.MULTILINE)
    assert f"judged by the limits of {account.name}" in notes.getvalue()
    loosened = by_command(*words, "--limits", account.name, "--limit", "exposure_symbol=20000")
    assert loosened["trades"] == free["trades"]
    # With nothing but one limit the planner cuts the 4,000 into parts that pass it.
    assert by_command(*words, "--limit", "max_notional=2000")["trades"] == free["trades"]


def test_a_job_is_judged_by_what_was_in_force_when_it_was_asked_for(
    account: Account, trader: Any, token_client: Any
) -> None:
    client = token_client(trader)
    body = {
        **BODY,
        "allocation": "4000",
        "limits": {"account": account.name, "values": {"max_loss_streak": 3}},
    }
    answer = client.post("/api/v1/backtests", body, format="json")
    assert answer.status_code == 202, answer.json()
    job = ResearchJob.objects.get(uid=answer.json()["id"])
    expected = by_command(
        *("backtest", "moving_average", "--param", "fast=5", "slow=20", "--allocation", "4000"),
        *("--limits", account.name, "--limit", "max_loss_streak=3"),
    )
    assert f"--allocation 4000 --limits {account.name} --limit max_loss_streak=3" in client.get(
        f"/api/v1/backtests/{job.uid}"
    ).json()["command"].replace(" --interval 1h", "")
    limit("exposure_symbol", "symbol:ETHUSDT", "1")
    figures = work(job).figures
    assert (figures["equity_sha256"], figures["refused"]) == (expected["equity_sha256"], {})
    later = work(job_create(request=job_request(body), actor=trader)).figures
    assert set(later["refused"]) == {"exposure_symbol"}


def test_a_sweep_is_judged_by_the_limits_in_every_configuration(account: Account, trader: Any) -> None:
    limit("exposure_symbol", "symbol:ETHUSDT", "1")
    body = {
        **BODY,
        "params": {},
        "grid": ["fast=3:9:3", "slow=12:36:12"],
        "limits": {"account": account.name},
    }
    job = work(job_create(request=job_request(body), actor=trader))
    assert job.state == "done", job.error
    assert {row["trades"] for row in job.figures["results"]} == {0}


def test_what_is_deployed_is_asked_for_with_its_capital_and_its_limits(
    averages: StrategyInstance, trader: Any, tmp_path: Any
) -> None:
    limit("exposure_strategy", "strategy:averages", "1500")
    request = job_of_instance(averages)
    assert (request.run.allocation, request.run.limits.account) == (Decimal(2_000), averages.account.name)
    job = work(job_create(request=request, actor=trader))
    assert job.state == "done", job.error
    assert set(job.figures["refused"]) == {"exposure_strategy"}


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"account": "nobody"}, 404, "UNKNOWN_ACCOUNT"),
        ({"values": {"exposure_moon": 5}}, 400, "BAD_LIMIT"),
        ({"values": {"exposure_symbol": "-5"}}, 400, "BAD_LIMIT"),
        ({"values": {"exposure_symbol": "much"}}, 400, "BAD_LIMIT"),
    ],
)
def test_limits_that_do_not_exist_are_refused_when_asked_for(
    limits: dict[str, Any], status: int, code: str, trader: Any, token_client: Any
) -> None:
    answer = token_client(trader).post("/api/v1/backtests", {**BODY, "limits": limits}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_command_names_a_limit_it_does_not_know(account: Account) -> None:
    with pytest.raises(CommandError, match="no limit is called 'moon'"):
        call_command(
            "backtest", "moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--limit", "moon=1"
        )
    both = ("--quantity", "1", "--allocation", "5")
    with pytest.raises(CommandError, match="a quantity or an allocation, not both"):
        call_command("backtest", "moving_average", "--symbol", "ETHUSDT", "--interval", "1h", *both)
