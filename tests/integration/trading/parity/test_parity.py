"""Decisions made live, bar by bar, beside the backtester's on the same bars; planted differences are named."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from nautilus_site.common.clock import now
from tests.integration.trading.api.world import World, build_world
from trading.models import Decision, Plan, PlanShare, Strategy, StrategyInstance
from trading.services.parity import parity_check
from trading.services.strategies import strategy_step
from universe.models import Bar

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 1, tzinfo=UTC)
BARS = 160


@pytest.fixture
def world() -> World:
    return build_world()


def bars_of(world: World, count: int, seed: int = 3) -> list[Bar]:
    """Minutes of a random walk in cents, each opening where the last one closed."""
    rng = np.random.default_rng(seed)
    closes = np.round(60_000 * np.exp(np.cumsum(rng.normal(0, 0.002, count))), 2)
    opens = np.concatenate(([60_000.0], closes[:-1]))
    rows = []
    for n, (o, c) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
        at = START + timedelta(minutes=n)
        rows.append(
            Bar(
                instrument=world.btc, interval="1m", open_time=at,
                close_time=at + timedelta(minutes=1) - timedelta(milliseconds=1),
                open=Decimal(str(o)), high=Decimal(str(max(o, c))), low=Decimal(str(min(o, c))),
                close=Decimal(str(c)), volume=Decimal(3), quote_volume=Decimal(3), trades=3,
                taker_base=Decimal(1), received_at=now(), source="stream",
            )
        )  # fmt: skip
    return rows


def running(world: World, kind: str = "moving_average", **parameters: Any) -> StrategyInstance:
    strategy = Strategy.objects.create(
        name=f"live-{kind.rpartition(':')[2]}".replace("_", "-").lower(),
        kind=kind,
        interval="1m",
        is_enabled=True,
        updated_at=now(),
        parameters=parameters,
    )
    return StrategyInstance.objects.create(
        strategy=strategy, account=world.account, instrument=world.btc, allocation=Decimal(1000)
    )


def live(instance: StrategyInstance, bars: list[Bar], first: int = 60) -> None:
    """What the feed and the worker do: history first, then one closed bar after the other."""
    Bar.objects.bulk_create(bars[:first])
    strategy_step(instance_id=instance.pk)
    for bar in bars[first:]:
        bar.save()
        strategy_step(instance_id=instance.pk)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("moving_average", {"fast": 5, "slow": 15}), ("moving_average", {"fast": 1, "slow": 40})],
)
def test_live_decisions_are_those_of_the_backtest(
    world: World, kind: str, parameters: dict[str, Any]
) -> None:
    instance = running(world, kind, **parameters)
    live(instance, bars_of(world, BARS))
    (report,) = parity_check(strategy=instance.strategy.name)
    assert report.comparison.differences == ()
    assert report.comparison.same == Decision.objects.count() > 90
    assert report.skipped == {}


def test_a_memory_that_began_again_behind_a_hole_is_compared_from_there(world: World) -> None:
    instance = running(world, fast=5, slow=15)
    bars = bars_of(world, BARS)
    live(instance, bars[:100])
    for bar in bars[110:]:
        bar.save()
        strategy_step(instance_id=instance.pk)
    assert len(set(Decision.objects.values_list("warm_from_at", flat=True))) == 2
    (report,) = parity_check(strategy=instance.strategy.name)
    assert (report.comparison.differences, report.skipped) == ((), {})
    assert report.comparison.same > 70


def test_a_changed_decision_a_lost_one_and_one_too_many_are_named(world: World) -> None:
    instance = running(world, fast=5, slow=15)
    live(instance, bars_of(world, BARS))
    rows = list(Decision.objects.order_by("bar_open_at"))
    Decision.objects.filter(pk=rows[50].pk).update(target=0.25)
    rows[60].delete()
    (report,) = parity_check(strategy=instance.strategy.name)
    found = {d.close_ns // 10**9: d.kind for d in report.comparison.differences}
    expected = {
        int(rows[50].bar_open_at.timestamp()) + 59: "other",
        int(rows[60].bar_open_at.timestamp()) + 59: "missing",
    }
    assert found == expected
    with pytest.raises(CommandError, match="some decisions differ"):
        call_command("parity", instance.strategy.name, stdout=io.StringIO())


def test_decisions_of_other_parameters_are_not_compared_with_these(world: World) -> None:
    instance = running(world, fast=5, slow=15)
    bars = bars_of(world, BARS)
    live(instance, bars[:120])
    before = Decision.objects.count()
    Strategy.objects.filter(pk=instance.strategy_id).update(parameters={"fast": 3, "slow": 15})
    for bar in bars[120:]:
        bar.save()
        strategy_step(instance_id=instance.pk)
    (report,) = parity_check(strategy=instance.strategy.name)
    assert report.skipped == {"made with other parameters": before}
    assert report.comparison.differences == ()
    assert report.comparison.same == Decision.objects.count() - before


def trade(world: World, decision: Decision, side: str, quantity: str, price: Decimal, **changes: Any) -> None:
    """An order of the planner for a decision, filled at once."""
    fee = changes.pop("fee", Decimal(quantity) * price / 1000)
    plan = Plan.objects.create(
        account=world.account, instrument=world.btc, version=decision.pk, price=decision.price,
        position_quantity=0, target_quantity=0, created_at=now(),
    )  # fmt: skip
    PlanShare.objects.create(plan=plan, decision=decision, share=Decimal(1))
    order = world.order(
        plan=plan, decision=decision, side=side, type="MARKET", quantity=Decimal(quantity),
        executed_quantity=Decimal(quantity), status="FILLED", **{"arrival_mid": price, **changes},
    )  # fmt: skip
    world.fill(order, trade_id=order.pk, price=str(price), quantity=quantity, side=side, commission_quote=fee)


@pytest.mark.parametrize(("later", "dearer", "fee"), [("0", "0", "0.96"), ("10", "7", "5")])
def test_results_are_split_into_their_causes(world: World, later: str, dearer: str, fee: str) -> None:
    """Live trades where the backtest does, but the first time when the market is dearer, and beyond that."""
    instance = running(world, fast=5, slow=15)
    live(instance, bars_of(world, BARS))
    held, turns = False, []
    for decision in Decision.objects.order_by("bar_open_at"):
        if (decision.target > 0) != held:
            held = not held
            turns.append(decision)
    assert len(turns) > 5
    for number, decision in enumerate(turns):
        following = Bar.objects.filter(open_time__gt=decision.bar_open_at).order_by("open_time").first()
        if following is None:
            continue
        side, arrival = ("BUY" if number % 2 == 0 else "SELL"), following.open
        price, costs = arrival, {}
        if number == 0:
            arrival += Decimal(later)
            price, costs = arrival + Decimal(dearer), {"fee": Decimal(fee)}
        trade(world, decision, side, "0.016", price, arrival_mid=arrival, **costs)
    (found,) = parity_check(strategy=instance.strategy.name)
    assert found.split is not None
    assert found.split.signal == 0
    assert found.split.latency == Decimal("-0.016") * Decimal(later)
    assert found.split.price == Decimal("-0.016") * Decimal(dearer)
    # The backtest trades 1000 / close in steps of 0.00001, here and there a few more or less than 0.016.
    assert abs(found.split.size) < Decimal("5")
    assert found.split.fee == pytest.approx(Decimal("0.96") - Decimal(fee), abs=Decimal("1"))
    parts = ("signal", "latency", "fill", "fee", "carried")
    assert sum(getattr(found.split, name) for name in parts) == found.split.difference


def test_the_command_says_it_in_json(world: World) -> None:
    instance = running(world, fast=5, slow=15)
    live(instance, bars_of(world, 120))
    out = io.StringIO()
    call_command("parity", instance.strategy.name, "--symbol", "BTCUSDT", "--json", stdout=out)
    (found,) = json.loads(out.getvalue())["instances"]
    assert (found["same"], found["differences"]) == (found["compared"], [])
    with pytest.raises(CommandError, match="UNKNOWN_STRATEGY"):
        call_command("parity", "nobody", stdout=io.StringIO())


TWO_CLOCKS = '''
from dataclasses import dataclass
from trading.domain.strategies import Desired, Strategy, parameter

@dataclass(frozen=True)
class Params:
    minutes: int = parameter(5, ge=2)

class TwoClocks(Strategy):
    """Decides at every bar by the last slower one."""
    name = "two_clocks"
    Params = Params

    def warmup(self, params):
        return 3 * params.minutes

    def slower_intervals(self, params):
        return (f"{params.minutes}m", "15m")

    def initial(self, params):
        return (0, 0.0)

    def step(self, params, state, seen):
        slow = seen.slower.get(f"{params.minutes}m")
        long = seen.slower.get("15m")
        if slow is not None:
            # Every member to its last bit: a sum in another order would be another decision.
            state = (slow.open_ns, (slow.high - slow.low + slow.volume + slow.taker_base * slow.trades) % 1.0)
        if long is not None:
            state = (long.open_ns, (state[1] + long.close * long.volume) % 1.0)
        return state, Desired(state[1], reason="BY_THE_SLOWER")
'''


def test_slower_bars_are_the_same_live_and_in_the_backtest(world: World, tmp_path: Path) -> None:
    path = tmp_path / "two_clocks.py"
    path.write_text(TWO_CLOCKS)
    rng = np.random.default_rng(5)
    bars = bars_of(world, BARS)
    for bar in bars:
        bar.volume, bar.taker_base = (Decimal(str(round(v, 8))) for v in rng.lognormal(0, 2, 2))
        bar.trades = int(rng.integers(1, 1000))
    instance = running(world, f"{path}:TwoClocks", minutes=5)
    live(instance, bars)
    targets = list(Decision.objects.order_by("bar_open_at").values_list("target", flat=True))
    # A decision a minute, changed by what closes every fifth one.
    assert len(targets) > 90
    assert 18 <= len(set(targets)) <= 22
    (report,) = parity_check(strategy=instance.strategy.name)
    assert (report.comparison.differences, report.skipped) == ((), {})
    assert report.comparison.same == len(targets)


def test_a_slower_interval_that_does_not_fit_stops_only_its_own_strategy(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "two_clocks.py"
    path.write_text(TWO_CLOCKS)
    instance = running(world, f"{path}:TwoClocks", minutes=7)
    live(instance, bars_of(world, 70))
    assert not Decision.objects.exists()
