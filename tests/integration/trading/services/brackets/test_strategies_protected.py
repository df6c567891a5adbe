"""Strategies that ask for protection, served on the paper exchange: guarded, tightened, and out when it trades."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.brackets import BracketState
from trading.domain.ports import KlineRecord
from trading.models import Bracket, Order, Strategy, StrategyInstance
from universe.models import Bar
from universe.services import bars_store

S = BracketState
START_MS, MINUTE_MS = 1_700_000_040_000, 60_000
FAST = {
    "entry": 4, "exit": 2, "momentum_short": 2, "momentum_medium": 3, "momentum_long": 4, "atr_window": 3,
    "volatility": 2.0, "volatility_mass": 3.0, "stop_atr": 2.0,
}  # fmt: skip


class Follower:
    """One instance on the rig's symbol, fed with closed bars near the market's price."""

    def __init__(self, rig: Rig, kind: str, parameters: dict[str, object]) -> None:
        self.rig, self.count = rig, 0
        strategy = Strategy.objects.get(name="trend")
        strategy.kind, strategy.parameters = kind, parameters
        strategy.save()
        StrategyInstance.objects.exclude(strategy=strategy).delete()
        self.pk = StrategyInstance.objects.get(strategy=strategy, instrument=rig.desk.btc).pk

    @property
    def instance(self) -> StrategyInstance:
        return StrategyInstance.objects.get(pk=self.pk)

    def bars(self, *factors: float) -> None:
        """Bars that close at the market's price times these; a spread of a thousandth."""
        price = float(self.rig.near("1"))
        records = []
        for n, factor in enumerate(factors):
            close = round(price * factor)
            opened = START_MS + (self.count + n) * MINUTE_MS
            records.append(
                KlineRecord(
                    open_time_ms=opened, open=Decimal(close), high=Decimal(round(close * 1.001)),
                    low=Decimal(round(close * 0.999)), close=Decimal(close), volume=Decimal(1),
                    close_time_ms=opened + MINUTE_MS - 1, quote_volume=Decimal(close), trades=1,
                    taker_base=Decimal(0), taker_quote=Decimal(0),
                )
            )  # fmt: skip
        self.count += len(factors)
        bars_store(self.rig.desk.btc, "1m", records, Bar.Source.STREAM)

    def decide(self) -> None:
        """Step and plan, as the workers do at a closed bar."""
        from trading.services.planning import plan_refresh
        from trading.services.strategies import strategy_step

        self.rig.look()
        strategy_step(instance_id=self.pk)
        plan_refresh(account_id=self.rig.desk.account.pk, instrument_id=self.rig.desk.btc.pk)

    def round(self) -> None:
        from trading.services.brackets.sweeping import strategies_guard

        self.rig.round()
        strategies_guard(self.rig.desk.account.pk)


@pytest.fixture
def follower(rig: Rig) -> Follower:
    return Follower(rig, "trend_follow", FAST)


def test_trend_follow_is_bought_guarded_and_leaves_when_its_stop_trades(rig: Rig, follower: Follower) -> None:
    follower.bars(0.95, 0.955, 0.96, 0.965, 0.97, 0.98, 0.99, 1.0)
    follower.decide()
    wanted = follower.instance
    assert wanted.target is not None
    assert wanted.target > 0
    assert wanted.protection is not None
    follower.round()
    follower.round()
    bracket = rig.settle()
    assert bracket.state == S.PROTECTED
    assert bracket.covers_all
    assert bracket.stop_price is not None
    assert abs(bracket.stop_price - Decimal(str(wanted.protection["stop"]))) < 1
    held = rig.desk.position().quantity
    (stop,) = rig.listed()
    assert held - stop.quantity < Decimal("0.00001")

    rig.drive_to((bracket.stop_price * Decimal("0.995")).quantize(Decimal(1)))
    assert rig.settle().state == S.DONE
    assert follower.instance.target == 0  # it wants nothing until it speaks again, as in the backtest
    assert follower.instance.protection is None
    orders = Order.objects.filter(origin="strategy").count()
    from trading.services.planning import plan_refresh

    plan_refresh(account_id=rig.desk.account.pk, instrument_id=rig.desk.btc.pk)
    assert Order.objects.filter(origin="strategy").count() == orders  # nothing buys back


def test_its_exit_gets_the_coins_its_stop_holds(rig: Rig, follower: Follower) -> None:
    """Pain 19: the planner sells what protection has locked."""
    from trading.services.planning import plan_refresh

    follower.bars(0.95, 0.955, 0.96, 0.965, 0.97, 0.98, 0.99, 1.0)
    follower.decide()
    follower.round()
    follower.round()
    assert rig.settle().state == S.PROTECTED
    StrategyInstance.objects.filter(pk=follower.pk).update(target=0.0, protection=None)
    for _ in range(6):
        plan_refresh(account_id=rig.desk.account.pk, instrument_id=rig.desk.btc.pk)
        rig.round()
    assert rig.settle().state == S.DONE
    assert rig.listed() == []
    assert rig.desk.position().quantity < Decimal("0.00001")


def test_a_strategy_never_loosens_its_stop(rig: Rig, follower: Follower) -> None:
    from trading.services.brackets import brackets_ensure

    follower.bars(0.95, 0.955, 0.96, 0.965, 0.97, 0.98, 0.99, 1.0)
    follower.decide()
    follower.round()
    follower.round()
    before = rig.settle().stop_price
    assert before is not None
    ensure = {"account_id": rig.desk.account.pk, "instrument_id": rig.desk.btc.pk}
    for factor, expected in ((0.99, before), (1.002, before * Decimal("1.002"))):
        protection = {"stop": float(before) * factor}
        StrategyInstance.objects.filter(pk=follower.pk).update(protection=protection)
        brackets_ensure(**ensure)
        found = Bracket.objects.get()
        assert found.stop_price is not None
        assert abs(found.stop_price - expected) < 1


def test_listing_snipers_protection_is_served(rig: Rig) -> None:
    """A strategy that trades on listings asks for its stop in the same words; it is kept the same way."""
    follower = Follower(rig, "trend_follow", FAST)
    stop = rig.near("0.9")
    rig.buy("0.01", stop=rig.near("0.5"))
    rig.send()
    rig.hear()
    StrategyInstance.objects.filter(pk=follower.pk).update(
        target=0.5, protection={"stop": float(stop), "take_profit": float(rig.near("1.2"))}
    )
    follower.round()
    assert rig.settle().state == S.PROTECTED
    assert {o.stop_price for o in rig.listed() if "STOP" in o.type} == {stop}
    assert len(rig.listed()) == 2
