"""From closed bars to orders: one decision per bar, one plan per difference, the same rails for everybody."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.factories.threads import run_together
from trading.domain.ports import KlineRecord
from trading.models import Decision, Order, Plan, Strategy, StrategyInstance
from trading.services.planning import plan_refresh, plans_due
from trading.services.strategies import instances_due, strategy_disable, strategy_step
from universe.models import Bar
from universe.services import bars_store

if TYPE_CHECKING:
    from tests.factories.trading import Desk

START_MS = 1_700_000_040_000
MINUTE_MS = 60_000


def bars(desk: Desk, closes: list[float], *, first: int = 0, symbol: str = "BTCUSDT") -> None:
    """Closed one-minute bars from number `first` on."""
    records = [
        KlineRecord(
            open_time_ms=START_MS + (first + n) * MINUTE_MS,
            open=Decimal(str(close)), high=Decimal(str(close)), low=Decimal(str(close)), close=Decimal(str(close)),
            volume=Decimal(1), close_time_ms=START_MS + (first + n + 1) * MINUTE_MS - 1,
            quote_volume=Decimal(str(close)), trades=1, taker_base=Decimal(0), taker_quote=Decimal(0),
        )
        for n, close in enumerate(closes)
    ]  # fmt: skip
    bars_store(desk.instruments[symbol], "1m", records, Bar.Source.STREAM)


def refresh(desk: Desk, symbol: str = "BTCUSDT") -> list[Order]:
    return plan_refresh(account_id=desk.account.pk, instrument_id=desk.instruments[symbol].pk)


def test_two_workers_that_step_at_once_take_one_decision_per_bar(shared_desk: Desk) -> None:
    bars(shared_desk, [60000, 60010, 60020, 60030])
    instance = shared_desk.instances["trend:BTCUSDT"]
    run_together(*[lambda: strategy_step(instance_id=instance.pk) for _ in range(4)])
    bars(shared_desk, [60040], first=4)
    run_together(*[lambda: strategy_step(instance_id=instance.pk) for _ in range(4)])
    taken = Decision.objects.filter(instance=instance)
    assert 1 <= taken.count() == taken.values("bar_open_at").distinct().count() <= 2
    assert strategy_step(instance_id=instance.pk) is None
    assert instance.pk not in instances_due()


def test_a_hole_in_the_bars_makes_it_warm_up_again_behind_the_hole(desk: Desk) -> None:
    instance = desk.instances["trend:BTCUSDT"]
    bars(desk, [60000, 60010, 60020, 60030])
    assert strategy_step(instance_id=instance.pk) is not None
    bars(desk, [60040], first=9)
    assert strategy_step(instance_id=instance.pk) is None, "one bar behind the hole is not warm"
    bars(desk, [60050, 60060, 60070], first=10)
    decision = strategy_step(instance_id=instance.pk)
    assert decision is not None
    assert decision.price == Decimal(60070)


def test_changed_parameters_make_it_warm_up_again(desk: Desk) -> None:
    instance = desk.instances["trend:BTCUSDT"]
    bars(desk, [60000 + n for n in range(12)])
    strategy_step(instance_id=instance.pk)
    before = StrategyInstance.objects.get(pk=instance.pk).parameters_digest
    Strategy.objects.filter(name="trend").update(parameters={"fast": 3, "slow": 6})
    bars(desk, [60100], first=12)
    strategy_step(instance_id=instance.pk)
    row = StrategyInstance.objects.get(pk=instance.pk)
    assert row.parameters_digest != before
    assert row.last_bar_at is not None


def test_a_plan_is_made_once_for_a_decision_however_often_it_is_refreshed(desk: Desk) -> None:
    desk.decide(0.5)
    (order,) = refresh(desk)
    assert refresh(desk) == []
    desk.send(order)
    assert refresh(desk) == []
    # 3000 x 0.5 at 60000 is 0.025; the exchange in memory keeps 0.1 % of it
    assert desk.position().quantity == Decimal("0.024975")


def test_two_refreshes_at_once_plan_one_difference(shared_desk: Desk) -> None:
    shared_desk.decide(0.5)
    run_together(*[lambda: refresh(shared_desk) for _ in range(4)])
    assert Order.objects.count() == 1


def test_a_decision_whose_hint_was_lost_is_planned_by_the_next_tick(desk: Desk) -> None:
    desk.decide(0.5)
    assert plans_due() == [(desk.account.pk, desk.btc.pk)]
    refresh(desk)
    assert plans_due() == []


def test_a_decision_that_was_denied_is_not_planned_again_and_again(desk: Desk) -> None:
    desk.limit(max_open_orders=0)
    desk.decide(0.5)
    assert refresh(desk) == []
    assert plans_due() == []
    assert Order.objects.filter(status="DENIED").count() == 1


def test_a_disabled_strategy_keeps_its_position(desk: Desk) -> None:
    desk.decide(0.5)
    desk.send(refresh(desk)[0])
    strategy_disable(name="trend", actor="test", reason="drill")
    StrategyInstance.objects.filter(strategy__name="swing").update(is_enabled=False)
    desk.decide(0.0)
    assert refresh(desk) == []
    assert desk.position().quantity > 0


def test_weight_zero_leads_out_of_the_position(desk: Desk) -> None:
    desk.decide(0.5)
    desk.send(refresh(desk)[0])
    StrategyInstance.objects.update(weight=0)
    (order,) = refresh(desk)
    assert (order.side, order.reduce_only) == ("SELL", True)
    sold = desk.send(order)
    assert sold.status == "FILLED"
    assert desk.position().quantity < Decimal("0.00001"), "less than one step is left"


def test_an_order_of_a_strategy_meets_the_same_rails_as_a_persons(desk: Desk) -> None:
    """The earlier system had three independent sets of rails (W23)."""
    from trading.domain.risk import RAILS

    desk.submit()
    desk.decide(0.5)
    refresh(desk)
    seen = [[check["rail"] for check in order.checks] for order in Order.objects.all()]
    assert seen[0] == seen[1] == [rail.name for rail in RAILS]


def test_orders_of_two_strategies_at_once_keep_their_own_names(shared_desk: Desk) -> None:
    """The earlier system swapped tags between concurrent signals (W45)."""
    shared_desk.decide(0.5, strategy="trend", symbol="BTCUSDT")
    shared_desk.decide(0.5, strategy="swing", symbol="ETHUSDT")
    run_together(lambda: refresh(shared_desk), lambda: refresh(shared_desk, "ETHUSDT"))
    named = {
        order.instrument.symbol: order.strategy.name
        for order in Order.objects.select_related("instrument", "strategy")
        if order.strategy is not None
    }
    assert named == {"BTCUSDT": "trend", "ETHUSDT": "swing"}
    for order in Order.objects.select_related("decision__instance__strategy", "strategy"):
        assert order.decision is not None
        assert order.decision.instance.strategy == order.strategy


@pytest.mark.parametrize("origin", ["external", "manual"])
def test_the_planner_leaves_orders_of_people_alone(desk: Desk, origin: str) -> None:
    order = desk.send(desk.submit("BUY", "0.001", price="59000", origin=origin))
    desk.decide(0.0)
    assert refresh(desk) == []
    assert desk.fresh(order).cancel_requested_at is None
    assert not Plan.objects.exists()


def test_an_order_that_works_against_the_new_target_is_taken_back(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.001", price="59000", origin=Order.Origin.STRATEGY))
    desk.decide(0.0)
    refresh(desk)
    assert desk.fresh(order).cancel_requested_at is not None


PROTECTED = '''
from dataclasses import dataclass
from trading.domain.strategies import Desired, Protection, Strategy

@dataclass(frozen=True)
class Params:
    """Nothing to set."""

class Protected(Strategy):
    """Wants half of its capital at work, and a stop under it."""

    name = "protected"
    Params = Params

    def warmup(self, params):
        return 1

    def initial(self, params):
        return None

    def step(self, params, state, observation):
        return None, Desired(0.5, protection=Protection(stop=observation.bar.close * 0.9))
'''


def test_the_protection_a_strategy_asks_for_is_kept_with_its_target(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "protected.py"
    file.write_text(PROTECTED)
    instance = desk.instances["trend:BTCUSDT"]
    Strategy.objects.filter(pk=instance.strategy_id).update(kind=f"{file}:Protected", parameters={})
    bars(desk, [60000, 60010])
    assert strategy_step(instance_id=instance.pk) is not None
    found = StrategyInstance.objects.get(pk=instance.pk)
    assert (found.target, found.protection) == (0.5, {"stop": 60010 * 0.9})
    assert len(refresh(desk)) == 1


def test_a_model_that_is_not_there_stops_the_strategy_and_nothing_else(desk: Desk) -> None:
    instance = desk.instances["trend:BTCUSDT"]
    Strategy.objects.filter(pk=instance.strategy_id).update(kind="hmm_policy", parameters={})
    bars(desk, [60000 + n for n in range(30)])
    assert strategy_step(instance_id=instance.pk) is None
    assert not Decision.objects.filter(instance=instance).exists()
