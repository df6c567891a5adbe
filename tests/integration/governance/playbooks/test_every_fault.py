"""The triggers that take more than prices and refusals: strangers, money that leaves, shocks, pegs, funding, stops."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.services.playbooks import rehearsal_start
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.exchange import FuturesExchange, running_exchange
from tests.integration.governance.conftest import in_force
from tests.integration.governance.playbooks.floor import Floor, open_floor
from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.values import Level
from trading.models import Order, Position, RiskLimit, StrategyInstance, SubPosition
from trading.services.controls import effective_level
from trading.services.planning import plan_refresh
from universe.models import Quote


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT", "ETHUSDT", options=("--seed", "5")) as address:
        yield address


@pytest.fixture
def floor(db: None, url: str, settings: Any, tmp_path: Path) -> Iterator[Floor]:
    settings.TESTNET_URL = url
    floor = open_floor(url, "BTCUSDT", "ETHUSDT")
    yield floor
    floor.exchange.control("DELETE", "/faults")


@pytest.fixture
def futures(db: None, url: str, settings: Any) -> Iterator[Floor]:
    settings.TESTNET_URL = url
    floor = open_floor(url, "BTCUSDT", "ETHUSDT", market="usdm")
    yield floor
    floor.exchange.control("DELETE", "/faults")


def rehearse(name: str, actor: User, **changes: Any) -> Rehearsal:
    Playbook.objects.exclude(name=name).update(is_armed=False)
    Playbook.objects.filter(name=name).update(**changes)
    return rehearsal_start(name=name, actor=actor, reason="drill")


def marked(floor: Floor, row: Rehearsal) -> Rehearsal:
    """Wait until it is scored; every action was seen to work, and all of it is out again."""
    floor.until(lambda: Rehearsal.objects.get(pk=row.pk).state == "scored", floor.look)
    row.refresh_from_db()
    assert row.score == 100, row.findings
    assert set(PlaybookAction.objects.values_list("state", flat=True)) <= {"verified", "undone"}
    assert floor.exchange.control("GET", "/faults") == []
    return row


class Traded:
    """A strategy that trades BTCUSDT on the floor, and the workers' rounds for it."""

    def __init__(self, floor: Floor) -> None:
        from tests.factories.trading import trader

        self.floor, self.rig = floor, Rig(floor.desk, floor.exchange, trader())
        self.instance = floor.desk.instances["trend:BTCUSDT"]

    def hold(self, target: float) -> Decimal:
        """Let it want so much of its allocation, and have it; returns what it holds, base."""
        self.floor.desk.decide(target)
        self.plan()
        held = self.held()
        assert held > 0
        return held

    def plan(self) -> None:
        """Plan what is over or missing, and trade it."""
        for _ in range(3):
            self.floor.look()
            plan_refresh(account_id=self.instance.account_id, instrument_id=self.instance.instrument_id)
            self.rig.round(2)

    def held(self) -> Decimal:
        row = SubPosition.objects.filter(owner="trend", position__instrument=self.floor.desk.btc).first()
        return row.quantity if row is not None else Decimal(0)


def everything_stopped(floor: Floor) -> None:
    assert effective_level(["global"])[0] is Level.REDUCING
    assert floor.order() == "TRADING_HALTED"


def test_a_position_somebody_else_made_too_large_stops_everything(floor: Floor, risk_officer: Any) -> None:
    row = rehearse("position", risk_officer, threshold=2000.0)
    floor.until(lambda: Incident.objects.exists(), floor.reconcile)
    assert Incident.objects.get().evidence["measured"] >= 2000
    everything_stopped(floor)
    marked(floor, row)
    floor.reconcile()
    held = Position.objects.get(instrument=floor.desk.btc).quantity
    assert abs(held) < Decimal("0.0001"), "the stranger has sold again what was bought"


def test_more_positions_than_allowed_stop_everything(floor: Floor, risk_officer: Any) -> None:
    row = rehearse("open_trades", risk_officer, threshold=2.0)
    floor.until(lambda: Incident.objects.exists(), floor.reconcile)
    everything_stopped(floor)
    marked(floor, row)


def test_a_common_shock_is_a_spike_of_correlation(floor: Floor, risk_officer: Any) -> None:
    before = RiskLimit.objects.get(name="exposure_group", scope="global").value
    floor.hear_bars()
    row = rehearse("corr_spike", risk_officer, confirm=1)
    floor.minutes(5)
    floor.hear_bars()
    playbook_due()
    floor.until(lambda: Incident.objects.exists(), floor.hear_bars)
    assert Incident.objects.get().evidence["measured"] > 0.9
    assert RiskLimit.objects.get(name="exposure_group", scope="global").value == before / 2
    marked(floor, row)


def test_a_stable_coin_that_leaves_its_peg_stops_new_risk(floor: Floor, risk_officer: Any) -> None:
    row = rehearse("depeg", risk_officer)
    floor.minutes(5)
    floor.hear_bars()
    playbook_due()
    floor.until(lambda: Incident.objects.exists(), floor.hear_bars)
    # Half as far again as the threshold of 0.5 %; the touch is a tick off the path.
    assert Incident.objects.get().evidence["measured"] == pytest.approx(0.75, abs=0.06)
    assert floor.order() == "BLACKOUT"
    marked(floor, row)


def test_extreme_funding_trims_the_contract_and_stops_new_risk_in_it(
    futures: Floor, risk_officer: Any, second_risk_officer: Any
) -> None:
    traded = Traded(futures)
    held = traded.hold(0.5)
    row = rehearse("funding_spike", risk_officer)
    futures.until(lambda: Incident.objects.exists(), futures.look)
    assert Incident.objects.get().evidence["measured"] == pytest.approx(0.225, abs=0.001)
    assert futures.order("BUY", "0.002") == "BLACKOUT"
    assert futures.order("BUY", "0.02", symbol="ETHUSDT") in ("NEW", "FILLED")
    traded.plan()
    assert traded.held() == floored(futures, held * Decimal("0.7"))
    before = row.fault["undo"][0]["body"]["funding"]
    marked(futures, row)
    asked = ChangeRequest.objects.get(target=f"instance:{traded.instance.pk}", state="pending")
    change_request_approve(request_id=asked.pk, approver=second_risk_officer)
    assert StrategyInstance.objects.get(pk=traded.instance.pk).weight == 1
    futures.look()
    assert Quote.objects.get(instrument=futures.desk.btc).funding_rate == pytest.approx(
        Decimal(before), abs=Decimal("1e-6")
    )


def test_money_that_leaves_makes_the_leverage_too_high(futures: Floor, risk_officer: Any) -> None:
    row = rehearse("leverage", risk_officer)
    futures.until(lambda: Incident.objects.exists(), futures.reconcile)
    assert Incident.objects.get().evidence["measured"] >= 3
    everything_stopped(futures)
    marked(futures, row)
    futures.reconcile()
    assert futures.desk.balance("USDT").amount == pytest.approx(100_000, abs=20)


def test_a_stop_that_is_taken_away_and_refused_is_noticed(futures: Floor, risk_officer: Any) -> None:
    from tests.factories.trading import trader

    rig = Rig(futures.desk, futures.exchange, trader())
    rig.buy("0.02", stop=rig.near("0.9"))
    assert rig.settle().state == "PROTECTED"
    row = rehearse("unprotected_position", risk_officer, threshold=1.0)
    assert row.scope == "symbol:BTCUSDT"

    def second() -> None:
        futures.look()
        rig.round()

    futures.until(lambda: Incident.objects.exists(), second)
    assert rig.open_at_venue() == []
    assert futures.order("BUY", "0.002") == "TRADING_HALTED"
    marked(futures, row)
    rig.settle()
    assert rig.open_at_venue() == ["STOP_MARKET 0.02"], "with the fault out again it is guarded at once"


def playbook_due() -> None:
    """However seldom it is measured: time enough has passed."""
    from datetime import timedelta

    from governance.models import PlaybookWatch
    from nautilus_site.common.clock import now

    PlaybookWatch.objects.update(read_at=now() - timedelta(minutes=1))


def test_a_weight_of_zero_is_an_orderly_exit(futures: Floor) -> None:
    assert isinstance(futures.exchange, FuturesExchange)
    traded = Traded(futures)
    traded.hold(0.5)
    orders = set(Order.objects.values_list("pk", flat=True))
    in_force("strategy_weights", weights={"trend": 0})
    assert StrategyInstance.objects.get(pk=traded.instance.pk).weight == 0
    traded.plan()
    assert traded.held() == 0
    assert all(report.quantity == 0 for report in futures.exchange.venue.positions("BTCUSDT"))
    after = Order.objects.exclude(pk__in=orders)
    assert {(order.side, order.reduce_only) for order in after} == {("SELL", True)}, (
        "nothing is bought on the way"
    )
    futures.desk.decide(1.0)
    traded.plan()
    assert traded.held() == 0, "whatever it wants: its share is nothing"


def floored(floor: Floor, quantity: Decimal) -> Decimal:
    """To whole steps of BTCUSDT."""
    domain = floor.desk.btc.to_domain()
    return domain.quantity(domain.floor_steps(quantity))
