"""The allocator on trading's own rows: what it applies, until when, what it leaves to two people."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from governance.models import Allocation, AllocationRun, CapitalState, Incident
from governance.selectors.capital import grants_now
from governance.selectors.capital_age import capital_gauges
from governance.services import capital, capital_reset
from governance.services.capital_requests import allocation_request
from governance.services.capital_watch import capital_watch
from governance.tasks import capital_tick
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from trading.domain.values import Level
from trading.models import EquityAnchor, Strategy, StrategyInstance, StrategyResult
from trading.services.equity import equity_mark
from trading.services.orders import OrderDenied
from trading.services.strategies import Amount, allocations_apply

POLICY: dict[str, Any] = {
    "enabled": ["trend", "swing"],
    "max_quota_usd": 50_000,
    "min_quota_usd": 100,
    "base_equity_frac": 1,
    "step_up_pct": 10,
    "step_down_pct": 1,
    "hysteresis_pct": 0,
    "sharpe_promote": -100,
    "sharpe_demote": -100,
    "unproven_quota_usd": 1_000_000,
    "envelope": {"max_total_usd": 1_000_000, "max_increase_usd": 1_000_000},
}


def run() -> AllocationRun:
    made = capital.capital_run(trigger="test")
    assert made is not None
    return made


def row(made: AllocationRun, strategy: str) -> Allocation:
    return Allocation.objects.get(run=made, strategy=strategy)


def test_amounts_are_written_to_trading_with_an_expiry_and_split_as_before(desk: Desk) -> None:
    # 100,000 of equity, 5,000 in reserve, capped at 12,000 each; each has 3 x 3,000.
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000, "expires_sec": 600})
    made = run()
    assert (made.outcome, made.pool) == ("applied", Decimal(95_000))
    assert grants_now(["trend", "swing"]) == {"trend": 12_000, "swing": 12_000}
    for instance in StrategyInstance.objects.all():
        assert instance.allocation == 4000
        assert instance.in_force_until is not None
        left = instance.in_force_until - now()
        assert timedelta(seconds=590) < left <= timedelta(seconds=600)
    assert row(made, "trend").rule == "cap"
    assert "the most it may have" in row(made, "trend").reason
    assert made.explanation.startswith("Equity 100,000.00 USDT, of which 5,000.00 USDT are reserve")


def test_change_is_audited_with_its_reason_and_a_renewal_is_not(desk: Desk) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000})
    run()
    changed = AuditEntry.objects.filter(action="strategy.allocation_changed")
    assert sorted(changed.values_list("target", flat=True)) == ["strategy:swing", "strategy:trend"]
    entry = changed.first()
    assert entry is not None
    assert "capital_policy@1" in entry.actor_name
    assert "the most it may have" in entry.reason
    again = run()
    assert (again.outcome, changed.count()) == ("held", 2)
    assert row(again, "trend").before == row(again, "trend").amount == 12_000


def test_past_its_expiry_a_strategy_may_only_reduce(desk: Desk) -> None:
    in_force("capital_policy", **POLICY)
    run()
    assert desk.submit("BUY", strategy=desk.strategies["trend"]).status == "RESERVED"
    StrategyInstance.objects.update(in_force_until=now() - timedelta(seconds=1))
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", strategy=desk.strategies["trend"])
    assert denied.value.code == "TRADING_HALTED"
    assert "grant" in denied.value.message or "limits" in denied.value.message, denied.value.message


def test_unknown_equity_changes_nothing_and_renews_nothing(desk: Desk) -> None:
    """W83: with no data the earlier allocator went on with an empty list, and the rails failed open."""
    in_force("capital_policy", **POLICY)
    EquityAnchor.objects.update(marked_at=now() - timedelta(minutes=3))
    made = run()
    assert made.outcome == "refused"
    assert "measured 180 s ago" in made.explanation
    assert set(StrategyInstance.objects.values_list("in_force_until", flat=True)) == {None}
    EquityAnchor.objects.all().delete()
    assert "never measured" in run().explanation


def test_without_a_policy_there_is_no_run(desk: Desk) -> None:
    capital_tick()
    assert capital.capital_run(trigger="test") is None
    assert not AllocationRun.objects.exists()


def test_tick_runs_when_the_policys_time_is_over_and_reads_the_policy_anew(desk: Desk) -> None:
    """W83: the earlier allocator loaded its policy once."""
    in_force("capital_policy", **{**POLICY, "refresh_sec": 3000, "expires_sec": 6000})
    capital_tick()
    capital_tick()
    assert AllocationRun.objects.count() == 1
    in_force("capital_policy", **{**POLICY, "refresh_sec": 10, "max_quota_usd": 7000})
    first = AllocationRun.objects.get()
    with transaction.atomic():
        AllocationRun.objects.filter(pk=first.pk).delete()
        AllocationRun.objects.bulk_create([AllocationRun(**_fields(first, at=now() - timedelta(seconds=11)))])
    capital_tick()
    assert grants_now(["trend"]) == {"trend": 7000}
    newest = AllocationRun.objects.first()
    assert newest is not None
    assert (newest.version.number, newest.trigger) == (2, "schedule")


def _fields(made: AllocationRun, **changes: Any) -> dict[str, Any]:
    names = ("at", "trigger", "version", "outcome", "method", "explanation")
    return {**{name: getattr(made, name) for name in names}, **changes}


def test_killed_strategy_loses_its_capital_at_once_and_a_disabled_one_keeps_it(desk: Desk) -> None:
    in_force("capital_policy", **{**POLICY, "step_down_pct": "0.01", "cooldown_sec": 100_000})
    desk.kill(Level.CANCEL, "strategy:trend")
    Strategy.objects.filter(name="swing").update(is_enabled=False)
    made = run()
    assert (row(made, "trend").rule, row(made, "trend").amount) == ("killed", 0)
    assert (row(made, "swing").rule, row(made, "swing").amount) == ("switched_off", 9000)


def test_raised_level_keeps_everybody_from_more(desk: Desk) -> None:
    in_force("capital_policy", **POLICY)
    desk.kill(Level.REDUCING)
    made = run()
    assert {row(made, name).rule for name in ("trend", "swing")} == {"halted"}
    assert grants_now(["trend", "swing"]) == {"trend": 9000, "swing": 9000}


def test_results_of_the_strategies_decide_by_the_method(desk: Desk) -> None:
    """W80: the earlier platform had no row per model, so its allocator had nothing to judge."""
    in_force(
        "capital_policy",
        **{
            **POLICY,
            "method": "inverse_volatility",
            "period_sec": 60,
            "min_observations": 10,
            "lookback_periods": 12,
            "half_life_periods": 5000,
        },
    )
    moment = now().replace(second=30, microsecond=0)
    for age in range(16, -1, -1):
        swing, trend = (1 if age % 2 else -1) * 45, (1 if age % 2 else -1) * 90
        for name, result in (("trend", trend), ("swing", swing)):
            at = moment - timedelta(minutes=age)
            StrategyResult.objects.create(
                strategy=desk.strategies[name], at=at, market_at=at, capital=9000, result=result
            )
    made = run()
    # Returns of 2 % and 1 % up and down: a third and two thirds of 95,000, capped at 50,000.
    assert row(made, "trend").weight == pytest.approx(1 / 3, abs=1e-3)
    assert row(made, "swing").weight == pytest.approx(2 / 3, abs=1e-3)
    assert made.method == "inverse_volatility"


def test_somebody_elses_change_in_between_is_not_overwritten(desk: Desk) -> None:
    """W83: two allocators overwrote each other's file."""
    with pytest.raises(ApplicationError) as refused:
        allocations_apply(
            amounts={"swing": Amount(Decimal(9000), Decimal(1)), "trend": Amount(Decimal(8999), Decimal(1))},
            until=now() + timedelta(minutes=1),
            actor="test",
            reasons={},
        )
    assert refused.value.code == "GRANT_MOVED"
    assert grants_now(["trend", "swing"]) == {"trend": 9000, "swing": 9000}


def test_beyond_the_envelope_two_people_grant_exactly_what_was_proposed(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000, "envelope": {}})
    made = run()
    assert (made.outcome, row(made, "trend").proposed) == ("proposed", 12_000)
    assert grants_now(["trend"]) == {"trend": 9000}
    request = allocation_request(run_id=made.pk, requester=trader, reason="both do well")
    assert request.diff == {"swing": ["9000", "12000"], "trend": ["9000", "12000"]}
    assert request.effect["explanation"] == made.explanation
    with pytest.raises(ApplicationError, match="somebody else"):
        change_request_approve(request_id=request.pk, approver=trader)
    change_request_approve(request_id=request.pk, approver=risk_officer)
    assert grants_now(["trend", "swing"]) == {"trend": 12_000, "swing": 12_000}
    granted = AllocationRun.objects.latest("id")
    assert (granted.trigger, row(granted, "trend").rule) == (f"request {request.pk}", "granted")
    # The next run renews what people granted and takes nothing back.
    assert run().outcome == "held"


def test_grant_that_the_pool_no_longer_holds_is_not_applied(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000, "envelope": {}})
    request = allocation_request(run_id=run().pk, requester=trader, reason="both do well")
    EquityAnchor.objects.update(equity=26_000, peak_equity=26_000)
    with pytest.raises(Conflict) as refused:
        change_request_approve(request_id=request.pk, approver=risk_officer)
    assert refused.value.code == "ABOVE_POOL"
    assert grants_now(["trend"]) == {"trend": 9000}


def test_request_is_void_once_an_amount_has_changed(desk: Desk, trader: User, risk_officer: User) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000, "envelope": {}})
    request = allocation_request(run_id=run().pk, requester=trader, reason="both do well")
    StrategyInstance.objects.filter(strategy__name="trend").update(allocation=2000)
    with pytest.raises(Conflict) as refused:
        change_request_approve(request_id=request.pk, approver=risk_officer)
    assert refused.value.code == "APPROVAL_VOID"


def test_hard_drawdown_takes_all_capital_until_two_people_lift_it(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    in_force("capital_policy", **POLICY)
    EquityAnchor.objects.update(equity=80_000, peak_equity=100_000)
    assert run().pool == 0
    assert grants_now(["trend"]) == {"trend": 0}
    EquityAnchor.objects.update(equity=100_000)
    assert run().pool == 0
    request = capital_reset.reset_request(requester=trader, reason="the cause is known")
    change_request_approve(request_id=request.pk, approver=risk_officer)
    assert CapitalState.objects.get().multiplier == pytest.approx(0.1)
    assert run().pool == 95_000  # no drawdown at all any more: whole again
    with pytest.raises(Conflict, match="has not stopped"):
        capital_reset.reset_request(requester=trader, reason="again")


def test_after_a_reset_a_fall_is_measured_from_there_and_capital_comes_back(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    """Measured from the old peak the next run stopped again: nothing could ever be won back."""
    pace = {"cooldown_sec": 0, "smallest_step_usd": 10_000}
    in_force("capital_policy", **{**POLICY, **pace, "reserve_equity_usd": 0})
    EquityAnchor.objects.update(equity=79_000, peak_equity=100_000)
    assert run().pool == 0
    request = capital_reset.reset_request(requester=trader, reason="the cause is known")
    assert request.effect["of_their_capital_at_first"] == "10 %"
    assert request.effect["stops_again_at_about"] == "63200 USDT"
    EquityAnchor.objects.update(marked_at=now() - timedelta(minutes=3))
    with pytest.raises(Conflict) as refused:
        change_request_approve(request_id=request.pk, approver=risk_officer)
    assert refused.value.code == "UNKNOWN_EQUITY"
    EquityAnchor.objects.update(marked_at=now())
    change_request_approve(request_id=request.pk, approver=risk_officer)
    for _ in range(2):
        made = run()
        assert (made.multiplier, made.pool) == (pytest.approx(0.1), 7_900), made.explanation
    assert sum(grants_now(["trend", "swing"]).values()) == 7_900
    assert "since then the fall from 79,000.00 USDT of 0.00 % counts" in made.explanation
    CapitalState.objects.update(lifted_at=now() - timedelta(days=4, minutes=1))
    assert run().multiplier == pytest.approx(0.5)
    EquityAnchor.objects.update(equity=63_000)
    assert run().pool == 0
    assert CapitalState.objects.get().lifted_at is None, "another stop takes another two people"
    EquityAnchor.objects.update(equity=79_000)
    assert run().pool == 0


def test_lifted_stop_is_over_when_everything_is_won_back(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    in_force("capital_policy", **{**POLICY, "reserve_equity_usd": 0})
    EquityAnchor.objects.update(equity=79_000, peak_equity=100_000)
    run()
    request = capital_reset.reset_request(requester=trader, reason="the cause is known")
    change_request_approve(request_id=request.pk, approver=risk_officer)
    EquityAnchor.objects.update(equity=100_000)
    assert run().pool == 100_000
    assert CapitalState.objects.get().lifted_at is None
    EquityAnchor.objects.update(equity=80_000)
    assert run().pool == 0


def test_refusals_that_last_call_people_and_one_that_decides_again_calms_them(desk: Desk) -> None:
    in_force("capital_policy", **{**POLICY, "refresh_sec": 100, "expires_sec": 600})
    run()
    EquityAnchor.objects.all().delete()
    version = AllocationRun.objects.get().version
    AllocationRun.objects.all().delete()
    for age_s, outcome in ((299, "held"), (31, "refused")):
        AllocationRun.objects.create(
            at=now() - timedelta(seconds=age_s),
            trigger="test",
            version=version,
            outcome=outcome,
            explanation="x",
        )
    assert (capital_watch(), Incident.objects.count()) == (False, 0)
    with transaction.atomic():
        AllocationRun.objects.all().delete()
        for age_s, outcome in ((301, "held"), (31, "refused")):
            AllocationRun.objects.create(
                at=now() - timedelta(seconds=age_s), trigger="test", version=version, outcome=outcome,
                explanation="x",
            )  # fmt: skip
    (gauge,) = capital_gauges()
    assert 301 <= gauge.samples[0].value < 310
    capital_tick()
    refused = AllocationRun.objects.latest("id")
    assert refused.outcome == "refused", "after a refusal it does not wait a whole refresh_sec"
    incident = Incident.objects.get(kind="allocator_refuses")
    assert (incident.state, incident.evidence["why"]) == ("open", refused.explanation)
    capital_tick()
    assert AllocationRun.objects.latest("id") == refused
    assert incident.entries.count() == 1, "it is not told again every ten seconds"
    equity_mark()
    run()
    capital_tick()
    incident.refresh_from_db()
    assert incident.state == "calm"


def test_a_strategy_without_capital_does_not_freeze_the_others(desk: Desk) -> None:
    StrategyInstance.objects.filter(strategy__name="swing").update(allocation=0)
    policy = {
        "period_sec": 60,
        "min_observations": 10,
        "lookback_periods": 12,
        "method": "inverse_volatility",
    }
    in_force("capital_policy", **{**POLICY, **policy})
    moment = now().replace(second=30, microsecond=0)
    for age in range(16, -1, -1):
        at = moment - timedelta(minutes=age)
        for name, capital_usd, result in (("trend", 9000, 90 if age % 2 else -90), ("swing", 0, 0)):
            StrategyResult.objects.create(
                strategy=desk.strategies[name], at=at, market_at=at, capital=capital_usd, result=result
            )
    made = run()
    assert (made.method, row(made, "trend").weight) == ("inverse_volatility", 1)
    assert (row(made, "swing").rule, row(made, "swing").amount) == ("hold", 0)
    assert grants_now(["trend"]) == {"trend": 50_000}


def test_runs_and_their_amounts_cannot_be_changed(desk: Desk) -> None:
    in_force("capital_policy", **POLICY)
    made = run()
    for change in (
        lambda: AllocationRun.objects.filter(pk=made.pk).update(explanation="x"),
        lambda: Allocation.objects.filter(run=made).update(amount=1),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_routes_show_runs_and_file_requests(
    desk: Desk,
    trader: User,
    viewer: User,
    token_client: Callable[..., Any],
    browser: Callable[[User], Client],
) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000, "envelope": {}})
    made = run()
    api = token_client(trader)
    rows = api.get("/api/v1/allocations?strategy=trend").json()["results"]
    assert [(r["amount"], r["proposed"], r["rule"]) for r in rows] == [("9000", "12000", "envelope")]
    assert api.get("/api/v1/allocations/runs").json()["results"][0]["pool"] == "95000"
    path = f"/api/v1/allocations/runs/{made.pk}/request"
    assert token_client(viewer).post(path, {"reason": "x"}, format="json").status_code == 403
    asked = api.post(path, {"reason": "both do well"}, format="json")
    assert (asked.status_code, asked.json()["kind"]) == (202, "capital.allocate")
    assert api.post("/api/v1/allocations/runs/0/request", {"reason": "x"}, format="json").status_code == 404
    state = browser(viewer).get("/state/capital/").json()
    assert [r["strategy"] for r in state["allocations"]] == ["swing", "trend"]
    assert state["summary"]["request_waits"]["kind"] == "capital.allocate"


def test_old_runs_that_changed_nothing_are_forgotten(desk: Desk) -> None:
    version = in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000})
    changed, held = run(), run()
    old = now() - timedelta(days=8)
    kept = [AllocationRun.objects.create(**_fields(made, at=old)) for made in (changed, held)]
    Allocation.objects.create(
        run=kept[0], strategy="trend", before=1, desired=2, amount=2, rule="method", reason="x"
    )
    Allocation.objects.create(
        run=kept[1], strategy="trend", before=2, desired=2, amount=2, rule="unchanged", reason="x"
    )
    assert capital.runs_prune() == 1
    assert set(version.runs.values_list("pk", flat=True)) == {changed.pk, held.pk, kept[0].pk}


def test_at_a_start_the_allocator_waits_until_the_equity_was_measured_and_not_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_force("capital_policy", **POLICY)
    EquityAnchor.objects.all().delete()
    AllocationRun.objects.all().delete()
    monkeypatch.setattr(capital, "_STARTED", time.monotonic())
    capital_tick()
    assert not AllocationRun.objects.exists(), "it does not say that it knows nothing before it could know"
    monkeypatch.setattr(capital, "_STARTED", time.monotonic() - capital.FIRST_MEASURE_S)
    capital_tick()
    assert "never measured" in AllocationRun.objects.get().explanation
    AllocationRun.objects.all().delete()
    monkeypatch.setattr(capital, "_STARTED", time.monotonic())
    equity_mark()
    capital_tick()
    assert AllocationRun.objects.get().outcome in ("applied", "held", "proposed")
