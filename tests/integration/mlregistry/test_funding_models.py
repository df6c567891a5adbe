"""A model that reads the funding rate: trained, tested for look-ahead, judged and stepped live by one function."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from mlregistry.models import GateVerdict, ModelVersion, TrainingRun
from mlregistry.selectors.artefacts import artefact_loaded
from mlregistry.selectors.training_bars import training_bars
from mlregistry.services.artefacts import artefact_place
from mlregistry.services.judging import judge_claim, judge_execute, judge_request
from mlregistry.services.training import training_claim, training_execute
from nautilus_site.common.models import Role
from tests.factories.canaries import LIVE_MS, instance, live_bars
from tests.factories.markets import HOUR_NS, T0_NS, paying_closes, store_bars
from tests.factories.trading import trading_desk
from trading.domain.clock import ns_to_datetime
from trading.domain.ports import FundingRecord
from trading.domain.regime.features import feature_matrix
from trading.domain.regime.filter import filter_series
from trading.models import Decision, Strategy
from trading.services.research import lookahead_model
from trading.services.strategies.stepping import strategy_step
from universe.models import FundingRate, Instrument
from universe.selectors import bars_recent
from universe.services import funding_store

pytestmark = pytest.mark.django_db
BARS = 1_200
FEATURES = ["log_return", "funding"]
RATES = np.random.default_rng(2).normal(1e-4, 1e-4, size=BARS // 8 + 1).round(8)
Clients = Callable[..., APIClient]


@pytest.fixture
def bars(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hourly bars of a perpetual."""
    settings.NAUTILUS_HOME = tmp_path / "home"
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path / "home"))
    store_bars(paying_closes(BARS), tmp_path, market="usdm")


@pytest.fixture
def funded(bars: None, tmp_path: Path) -> None:
    """What it settled every eight hours, as the public archive tells it: some milliseconds late."""
    lines = ["calc_time,funding_interval_hours,last_funding_rate"]
    lines += [
        f"{(T0_NS + 8 * n * HOUR_NS) // 1_000_000 + n % 9},8,{rate:.8f}" for n, rate in enumerate(RATES)
    ]
    path = tmp_path / "BTCUSDT-fundingRate.csv"
    path.write_text("\n".join(lines) + "\n")
    call_command("funding", "import", str(path), "--symbol", "BTCUSDT", stdout=io.StringIO())


@pytest.fixture
def version(funded: None, token_client: Clients, make_user: Any) -> ModelVersion:
    """A two-state model of return and funding, asked for over the API and trained as a job."""
    asked = {
        "model": "hmm", "symbol": "BTCUSDT.P", "interval": "1h", "states": 2, "features": FEATURES,
        "end": ns_to_datetime(T0_NS + BARS // 2 * HOUR_NS).isoformat(),
    }  # fmt: skip
    answer = token_client(make_user(Role.MODEL_OWNER)).post("/api/v1/models/train", asked, format="json")
    assert answer.status_code == 202, answer.content
    run = training_claim(slots=1)
    assert run is not None
    done = training_execute(run_id=run.pk)
    assert (done.state, done.error) == (TrainingRun.State.DONE, "")
    return ModelVersion.objects.get()


def train(*more: str, market: str = "usdm") -> tuple[int, str]:
    err = io.StringIO()
    named = ("hmm", "--symbol", "BTCUSDT", "--interval", "1h", "--market", market, "--states", "2")
    try:
        call_command("train", *named, *more, stdout=io.StringIO(), stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), err.getvalue()
    return 0, err.getvalue()


@pytest.mark.usefixtures("bars")
def test_without_a_history_or_on_spot_the_training_is_refused_in_words(tmp_path: Path) -> None:
    code, told = train("--features", "log_return,funding")
    assert code == 1
    assert "no funding of BTCUSDT is stored" in told
    assert train("--features", "log_return,volatility")[0] == 0
    store_bars(paying_closes(400), tmp_path)
    code, told = train("--features", "log_return,funding", market="spot")
    assert code == 1
    assert "only perpetuals" in told


def test_training_sees_at_each_close_the_last_rate_settled(version: ModelVersion) -> None:
    assert version.lineage["recipe"]["features"]["names"] == FEATURES
    columns, _ = training_bars("BTCUSDT", "1h", "usdm", funding=True)
    # Bar n closes a millisecond before hour n + 1: what was settled at hour n + 1 is not known to it.
    assert columns.funding == pytest.approx([RATES[n // 8] for n in range(BARS)], abs=0)
    matrix = feature_matrix(columns, artefact_loaded(version.digest).model.features)
    assert matrix.x[:, 1] == pytest.approx(columns.funding[1:], abs=0)


@pytest.mark.usefixtures("funded")
def test_a_settlement_that_is_missing_is_a_hole_in_training_not_an_old_rate() -> None:
    FundingRate.objects.filter(funding_at=ns_to_datetime(T0_NS + 160 * HOUR_NS)).delete()
    columns, _ = training_bars("BTCUSDT", "1h", "usdm", funding=True)
    assert np.flatnonzero(np.isnan(columns.funding)).tolist() == list(range(160, 168))
    assert train("--features", "log_return,funding")[0] == 0
    FundingRate.objects.filter(funding_at__lt=ns_to_datetime(T0_NS + 100 * HOUR_NS)).delete()
    code, told = train("--features", "log_return,funding")
    assert code == 1
    assert "bar 0 of 1200" in told
    assert "no funding rate was in force" in told


def test_what_batch_and_filter_say_of_a_bar_does_not_change_with_later_bars_or_rates(
    version: ModelVersion,
) -> None:
    report = lookahead_model(
        version.digest, symbol="BTCUSDT", interval="1h", market="usdm", bars=300, cuts=25
    )
    assert {"feature:funding", "live:funding", "state:0"} <= set(report.columns)
    assert report.leaks == ()


def test_the_gate_judges_it_through_the_backtester_with_the_funding_it_pays(version: ModelVersion) -> None:
    judge_request(version=version, requester="test", folds=2)
    verdict = judge_claim(slots=1)
    assert verdict is not None
    done = judge_execute(verdict_id=verdict.pk)
    assert (done.state, done.error) == (GateVerdict.State.DONE, "")
    found = {one["name"]: one for one in done.criteria}
    assert found["truncation_leaks"]["passed"]
    assert found["trades"]["measured"] > 0


def backtest(version: ModelVersion, *more: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(
        "backtest", "hmm_policy", "--symbol", "BTCUSDT.P", "--interval", "1h", "--json", "--param",
        f"model={artefact_place(version.digest)}", "positions=single:1, calm:1, turbulent:-1", "allow_short=true",
        "refit_days=0", *more, stdout=out, stderr=io.StringIO(),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_a_backtest_takes_the_stored_history_and_without_one_such_a_model_is_refused(
    version: ModelVersion, tmp_path: Path
) -> None:
    stored = backtest(version)
    assert stored["trades"] > 5
    # The same rates in a file make the same run, to the hash of its equity.
    same = tmp_path / "same.csv"
    rows = FundingRate.objects.order_by("funding_at").values_list("funding_at", "rate")
    same.write_text("\n".join(["time,rate", *(f"{at.isoformat()},{rate}" for at, rate in rows)]) + "\n")
    assert backtest(version, "--funding", str(same))["equity_sha256"] == stored["equity_sha256"]
    with pytest.raises(CommandError, match="reads the funding rate of BTCUSDT: none is given"):
        backtest(version, "--funding", "none")


def test_a_live_step_sees_what_training_sees_and_holds_nothing_while_a_settlement_is_missing(
    version: ModelVersion,
) -> None:
    desk = trading_desk(symbols=("BTCUSDT",))
    desk.strategies["swing"].delete()
    Instrument.objects.update(market="usdm")
    Strategy.objects.filter(name="trend").update(
        kind="hmm_policy",
        interval="1h",
        parameters={"model": str(artefact_place(version.digest)), "refit_days": 0},
    )
    live_bars(desk, 40)
    first = LIVE_MS // 28_800_000 * 28_800_000
    records = [FundingRecord(first + n * 28_800_000, Decimal("0.0001") * (n % 3)) for n in range(6)]
    funding_store("BTCUSDT", records, "rest")
    assert strategy_step(instance_id=instance("trend").pk) is not None
    said = Decision.objects.get()
    artefact = artefact_loaded(version.digest)
    rows = bars_recent(desk.btc, "1h", 40)
    from mlregistry.selectors.live_bars import bar_columns

    matrix = feature_matrix(bar_columns(rows, "1h", "BTCUSDT"), artefact.model.features)
    posterior, _ = filter_series(artefact.model.hmm, artefact.model.scaler.apply(matrix.x), matrix.lengths)
    told = [said.features[f"p_{label}"] for label in artefact.model.labels]
    assert told == pytest.approx(posterior[-1].tolist(), abs=1e-12)
    # The settlement due before the next bars did not come: the last rate is not in force for ever.
    live_bars(desk, 10, first=40)
    FundingRate.objects.filter(funding_at__gt=ns_to_datetime((LIVE_MS + 33 * 3_600_000) * 1_000_000)).delete()
    assert strategy_step(instance_id=instance("trend").pk) is not None
    newest = Decision.objects.order_by("-pk")[0]
    assert (newest.target, newest.reason) == (0, "UNUSABLE_BAR")
