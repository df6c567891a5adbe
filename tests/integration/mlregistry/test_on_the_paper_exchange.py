"""Models on the paper exchange: a filter beside the true regimes, and canaries that trade until they are decided."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone

from mlregistry.domain.recipes import DataSource, HmmRecipe
from mlregistry.domain.stages import Stage
from mlregistry.domain.study import train_hmm
from mlregistry.models import Canary, GateVerdict, ModelVersion, TruthReport
from mlregistry.selectors.gauges import model_gauges
from mlregistry.selectors.live_bars import bar_columns
from mlregistry.selectors.verdicts import policy_in_force
from mlregistry.selectors.versions import version_detail, version_get
from mlregistry.services.canaries import canaries_check, canary_check
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request
from mlregistry.services.truth import truth_measure_all
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve
from nautilus_site.common.services.leases import lease_renew
from tests.factories.canaries import FAMILY, HOUR_MS, LIVE_MS, instance, promote
from tests.factories.exchange import Exchange, running_exchange
from tests.factories.markets import paying_bars, trained_on
from tests.factories.trading import Desk, trading_desk
from trading.domain.ports import KlineRecord
from trading.domain.regime.artefact import EncodedArtefact, encode
from trading.models import Fill, Strategy, SubPosition
from trading.services.planning import plan_refresh
from trading.services.reconcile import account_reconcile
from trading.services.strategies import strategy_step
from universe.adapters.binance import BinanceSpotMarketData
from universe.models import Bar, Instrument
from universe.selectors import bars_recent
from universe.services import bars_store, instruments_sync

pytestmark = pytest.mark.django_db
MINUTE = "1m"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT", options=("--history-days", "5", "--seed", "11")) as address:
        yield address


@pytest.fixture
def live(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> Desk:
    """A desk with the exchange's own filters, opened by a reconciliation with it."""
    settings.NAUTILUS_HOME, settings.TESTNET_URL = tmp_path, url
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    exchange = Exchange(url)
    desk = trading_desk(opened=False, symbols=("BTCUSDT",))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    desk.strategies["swing"].delete()
    heard(desk, exchange)
    run = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"
    desk.account.refresh_from_db()
    desk.measure()
    return desk


def heard(desk: Desk, exchange: Exchange) -> Decimal:
    """Take the exchange's touch down as the feed does; the middle of it."""
    from universe.models import Quote

    bid, ask = exchange.touch()
    moment = timezone.now()
    Quote.objects.update_or_create(
        instrument=desk.btc, defaults={"bid": bid, "ask": ask, "market_time": moment, "received_at": moment}
    )
    return (bid + ask) / 2


# -- the truth -----------------------------------------------------------------------------------------------


def test_a_filter_trained_on_the_exchange_s_minutes_names_the_true_regime_of_later_ones(
    live: Desk, url: str
) -> None:
    exchange = Exchange(url)
    market = BinanceSpotMarketData(exchange.client)
    newest = market.klines("BTCUSDT", MINUTE, limit=2)[0].open_time_ms
    minutes = market.klines("BTCUSDT", MINUTE, start_ms=newest - 6_999 * 60_000, end_ms=newest)
    assert len(minutes) == 7_000
    bars_store(live.btc, MINUTE, minutes, Bar.Source.REST)
    known = bars_recent(live.btc, MINUTE, 7_000)[:4_000]
    recipe = HmmRecipe(states=3, candidates=(3,), restarts=2, seed=1)
    trained = train_hmm(bar_columns(known, MINUTE), recipe, DataSource("BTCUSDT", "spot", MINUTE, "0" * 64))
    version = version_register(encoded=encode(trained.artefact), metrics={}, actor="test")
    out = io.StringIO()
    call_command("models", "truth", f"{version.family.name}@1", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["rows"] >= 1_600
    # Trends up and down differ in their drift only, a third of their volatility: they go by one state.
    assert told["matched"] == {
        "calm": "calm", "trend_up": "trend", "trend_down": "trend", "turbulent": "turbulent"
    }  # fmt: skip
    assert told["accuracy"] > max(0.85, told["always"] + 0.3)
    # What decides is measured by itself, a report a day; a candidate decides nothing.
    assert truth_measure_all() == 0
    ModelVersion.objects.filter(pk=version.pk).update(stage=Stage.SHADOW)
    assert (truth_measure_all(), truth_measure_all()) == (1, 1)
    (report,) = version_detail(version_get(version.pk))["truth"]
    assert (report["accuracy"], report["rows"]) == (told["accuracy"], told["rows"])
    assert TruthReport.objects.count() == 1
    (sample,) = (
        sample
        for metric in model_gauges()
        if metric.name == "model_truth_accuracy"
        for sample in metric.samples
    )
    assert (sample.value, sample.labels["stage"]) == (told["accuracy"], "shadow")
    call_command(
        "models", "truth", f"{version.family.name}@1", "--bars", "600", stdout=(text := io.StringIO())
    )
    assert "400 bars up to" in text.getvalue()


def test_where_nothing_tells_the_truth_the_command_says_so(
    live: Desk, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlregistry.adapters.testnet_truth import truth_read

    with pytest.raises(ApplicationError, match="answered 400"):
        truth_read("NOSUCH", "spot", start_ms=0, end_ms=1)
    settings.TESTNET_URL = "http://127.0.0.1:9"
    with pytest.raises(ApplicationError, match="cannot be asked"):
        truth_read("BTCUSDT", "spot", start_ms=0, end_ms=1)
    settings.BINANCE_ENV = "mainnet"
    with pytest.raises(ApplicationError, match="only the paper exchange"):
        truth_read("BTCUSDT", "spot", start_ms=0, end_ms=1)


# -- canaries ------------------------------------------------------------------------------------------------

CALM, TURBULENT = (0.0012, 0.0004), (-0.006, 0.002)
STEP_S, MOST_HOURS = 10, 300
COMPARE_EVERY_S = 15
RULES = {
    "share": 0.25, "cap": 750, "dwell_s": 300, "fills": 6, "interval_s": STEP_S, "n_opt": 40,
    "drawdown": 0.3, "daily_loss": 0.2, "quote_s": 1e6,
}  # fmt: skip


def spells(bars: int, seed: int) -> np.ndarray:
    """Returns of hours that rise a little in calm and fall much in turbulence, (bars,)."""
    rng, turbulent, returns = np.random.default_rng(seed), False, []
    for _ in range(bars):
        mean, deviation = TURBULENT if turbulent else CALM
        returns.append(mean + deviation * rng.normal())
        turbulent = turbulent if rng.random() < 0.85 else not turbulent
    return np.array(returns)


@pytest.fixture(scope="module")
def models() -> dict[str, EncodedArtefact]:
    bars = paying_bars(20_000 * np.exp(np.cumsum(spells(1_400, 3))))
    return {"seeing": trained_on(bars, states=2), "blind": trained_on(bars, states=1)}


@dataclass
class Hours:
    """Market hours passed quickly: the exchange's price goes where the hour closes, and both decide and trade there."""

    desk: Desk
    exchange: Exchange
    returns: Iterator[float]
    at: datetime = field(default_factory=timezone.now)
    number: int = 0
    compared: float = field(default_factory=time.monotonic)

    def pass_one(self) -> None:
        if time.monotonic() - self.compared > COMPARE_EVERY_S:
            # As the sweeps and drains do: nothing is sent on books that were not compared for minutes of wall time.
            self.compared = time.monotonic()
            account_reconcile(account_id=self.desk.account.pk, venue=self.desk.venue, trigger="periodic")
            assert lease_renew(self.desk.lease(), life=timedelta(minutes=5))
        middle = heard(self.desk, self.exchange)
        close = (middle * Decimal(float(np.exp(next(self.returns))))).quantize(Decimal("0.01"))
        self.exchange.drive((2, close), (20, close), seconds=4)
        self.bar(heard(self.desk, self.exchange))
        for name in ("trend", "trend-canary"):
            if Strategy.objects.filter(name=name, is_enabled=True).exclude(model_digest="").exists():
                strategy_step(instance_id=instance(name).pk)
        self.trade()
        self.at += timedelta(seconds=STEP_S)

    def bar(self, price: Decimal) -> None:
        """Store the hour that closed at a price."""
        open_ms = LIVE_MS + self.number * HOUR_MS
        self.number += 1
        record = KlineRecord(
            open_time_ms=open_ms, open=price, high=price, low=price, close=price, volume=Decimal(25),
            close_time_ms=open_ms + HOUR_MS - 1, quote_volume=price * 25, trades=9, taker_base=Decimal(1),
            taker_quote=price,
        )  # fmt: skip
        bars_store(self.desk.btc, "1h", [record], Bar.Source.STREAM)

    def trade(self) -> None:
        """Plan until nothing is left to do, and send what is planned."""
        for _ in range(3):
            self.desk.measure()
            orders = plan_refresh(account_id=self.desk.account.pk, instrument_id=self.desk.btc.pk)
            if not orders:
                return
            for order in orders:
                self.desk.send(order)
            heard(self.desk, self.exchange)


def begun(
    desk: Desk,
    url: str,
    models: dict[str, EncodedArtefact],
    people: tuple[User, User],
    champion: str,
    trying: str,
    **rules: float,
) -> tuple[Hours, Canary, ModelVersion]:
    Strategy.objects.filter(name="trend").update(
        kind="hmm_policy", interval="1h", parameters={"refit_days": 0}, model_family=FAMILY
    )
    promote(version_register(encoded=models[champion], metrics={}, actor="test"), Stage.CHAMPION, people)
    challenger = version_register(encoded=models[trying], metrics={}, actor="test")
    promote(challenger, Stage.CANARY, people, **{**RULES, **rules})
    desk.limit(daily_loss=10**6, max_drawdown=1)
    hours = Hours(desk, Exchange(url), iter(spells(600, 9).tolist()))
    hours.exchange.venue = desk.venue
    return hours, Canary.objects.get(), challenger


def passed_the_gate(version: ModelVersion) -> None:
    GateVerdict.objects.create(
        version=version,
        champion=ModelVersion.objects.get(stage=Stage.CHAMPION),
        asked={},
        state="done",
        passed=True,
        policy=policy_in_force(version),
        created_at=timezone.now(),
        finished_at=timezone.now(),
    )


@pytest.mark.long
def test_the_better_model_trades_as_canary_until_it_has_won_and_is_then_promoted(
    live: Desk, url: str, models: dict[str, EncodedArtefact], people: tuple[User, User]
) -> None:
    hours, canary, challenger = begun(live, url, models, people, champion="blind", trying="seeing")
    passed_the_gate(challenger)
    while canary.state == Canary.State.RUNNING and hours.number < MOST_HOURS:
        hours.pass_one()
        canary_check(canary_id=canary.pk, moment=hours.at)
        canary.refresh_from_db()
    assert (canary.state, canary.reason) == (Canary.State.WON, "")
    assert canary.n >= 30
    assert canary.best_log_e >= np.log(1 / 0.025)
    assert Fill.objects.filter(order__created_at__gte=canary.started_at).count() >= 6
    asked = promotion_request(version=challenger, stage=Stage.CHAMPION, reason="it won", requester=people[0])
    change_request_approve(request_id=asked.pk, approver=people[1])
    challenger.refresh_from_db()
    assert challenger.stage == Stage.CHAMPION
    assert Strategy.objects.get(name="trend").model_digest == challenger.digest
    assert instance("trend").allocation == Decimal(3000)
    hours.pass_one()
    canaries_check()
    assert not Strategy.objects.get(name="trend-canary").is_enabled
    run = account_reconcile(account_id=live.account.pk, venue=live.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"


@pytest.mark.long
def test_a_ramped_canary_grows_by_a_step_and_then_holds_five_times_as_much_at_the_exchange(
    live: Desk, url: str, models: dict[str, EncodedArtefact], people: tuple[User, User]
) -> None:
    hours, canary, _ = begun(
        live, url, models, people, champion="blind", trying="seeing",
        share=0.05, ramp=0.25, dwell_s=100, fills=3,
    )  # fmt: skip
    assert (canary.capital, canary.champion_capital, canary.step) == (Decimal(150), Decimal(2850), 1)
    held: dict[int, Decimal] = {}
    grown_at = None
    while canary.state == Canary.State.RUNNING and hours.number < MOST_HOURS:
        if grown_at is not None and held.get(2, Decimal(0)) > 4 * held[1]:
            break
        hours.pass_one()
        own = SubPosition.objects.filter(owner="trend-canary").first()
        if own is not None:
            held[canary.step] = max(held.get(canary.step, Decimal(0)), own.quantity)
        before = canary.log_e
        canary_check(canary_id=canary.pk, moment=hours.at)
        canary.refresh_from_db()
        if grown_at is None and canary.step == 2:
            grown_at = canary.n
            # What it grew by is the evidence of a fifth, its time and its fills; nothing of the test begins anew.
            assert canary.log_e is not None
            assert canary.log_e >= np.log(5)
            assert (
                before is None or before < np.log(5) or (hours.at - canary.started_at).total_seconds() >= 100
            )
            assert (canary.capital, canary.champion_capital) == (Decimal(750), Decimal(2250))
            assert canary.state == Canary.State.RUNNING
    assert grown_at is not None
    assert grown_at >= 30
    assert canary.state in (Canary.State.RUNNING, Canary.State.WON)
    assert (canary.step, canary.capital) == (2, Decimal(750))
    # Five times the capital, in the books and at the exchange.
    assert held[2] > 4 * held[1] > 0
    assert (instance("trend-canary").allocation, instance("trend").allocation) == (
        Decimal(750),
        Decimal(2250),
    )
    run = account_reconcile(account_id=live.account.pk, venue=live.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"


@pytest.mark.long
def test_the_worse_model_is_rolled_back_by_the_first_look_after_it_is_evident_and_its_position_is_left(
    live: Desk, url: str, models: dict[str, EncodedArtefact], people: tuple[User, User]
) -> None:
    hours, canary, challenger = begun(live, url, models, people, champion="seeing", trying="blind")
    looked = hours.at
    while canary.state == Canary.State.RUNNING and hours.number < MOST_HOURS:
        looked = hours.at
        hours.pass_one()
        canary_check(canary_id=canary.pk, moment=hours.at)
        canary.refresh_from_db()
    challenger.refresh_from_db()
    assert canary.state in (Canary.State.HARMED, Canary.State.BREACHED)
    assert challenger.stage == Stage.SHADOW
    # What ended it was not there at the look before, ten seconds earlier.
    assert canary.ended_at == hours.at
    assert (canary.ended_at - looked).total_seconds() <= 60
    assert (instance("trend-canary").allocation, instance("trend").allocation) == (Decimal(0), Decimal(3000))
    hours.trade()
    canaries_check()
    held = SubPosition.objects.get(owner="trend-canary")
    assert held.quantity < live.btc.to_domain().step_size
    assert not Strategy.objects.get(name="trend-canary").is_enabled
    run = account_reconcile(account_id=live.account.pk, venue=live.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"
