"""Recorded steps decided again, and what recorded decisions would have earned: all numbers by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from tests.fakes.instruments import spot
from trading.domain.parity import Said, Step, Top, decide_again, quotes_followed, targets_followed
from trading.domain.strategies import Desired, Observation, Strategy
from trading.domain.strategies.base import NO_BAR, Quotes

SECOND = 1_000_000_000


@dataclass(frozen=True)
class NoParams:
    pass


class Counting(Strategy):
    """Counts its steps and wants more with each."""

    name = "counting"
    Params = NoParams

    def warmup(self, params: Any) -> int:
        return 0

    def initial(self, params: Any) -> Any:
        return 0

    def step(self, params: Any, state: Any, seen: Observation) -> tuple[Any, Desired | None]:
        if seen.bid == 0.0:
            return state, None
        return state + 1, Desired((state + 1) / 10, reason="COUNTED")


def recorded(count: int, memories: dict[int, int]) -> list[Step]:
    """Steps as `Counting` makes them from 0, remembered where told."""
    return [
        Step(
            Observation("BTCUSDT", "1m", NO_BAR, at * SECOND, bid=100.0, ask=101.0),
            Said(at * SECOND, (at + 1) / 10, 1.0, "COUNTED"),
            (memories[at],) if at in memories else None,
            1,
        )
        for at in range(count)
    ]


def test_what_was_said_is_said_again() -> None:
    again = decide_again(Counting(), NoParams(), recorded(8, {0: 0, 5: 5}))
    assert (again.comparison.same, again.comparison.differences, again.unknown) == (8, (), 0)


def test_steps_before_the_first_memory_are_counted_not_compared() -> None:
    again = decide_again(Counting(), NoParams(), recorded(8, {3: 3}))
    assert (again.comparison.compared, again.unknown) == (5, 3)


def test_a_lost_step_shows_in_the_decisions_and_in_the_memory() -> None:
    steps = recorded(8, {0: 0, 5: 5})
    del steps[2]
    found = decide_again(Counting(), NoParams(), steps).comparison.differences
    assert [(d.close_ns // SECOND, d.kind) for d in found] == [(3, "other"), (4, "other"), (5, "memory")]


def test_a_changed_and_a_lost_and_an_invented_decision_are_named() -> None:
    steps = recorded(6, {0: 0})
    steps[1] = replace(steps[1], said=Said(1 * SECOND, 0.2, 1.0, "COUNTED", Quotes(99.0, 1.0, 0.0, 0.0)))
    steps[2] = replace(steps[2], said=None)
    blind = replace(steps[5].seen, bid=0.0)
    steps[5] = replace(steps[5], seen=blind)
    found = decide_again(Counting(), NoParams(), steps).comparison.differences
    assert [(d.close_ns // SECOND, d.kind) for d in found] == [(1, "other"), (2, "missing"), (5, "extra")]


def test_a_new_chain_does_not_go_on_with_an_old_memory() -> None:
    steps = recorded(4, {0: 0})
    steps[2:] = [replace(step, chain=2) for step in steps[2:]]
    again = decide_again(Counting(), NoParams(), steps)
    assert (again.comparison.same, again.unknown) == (2, 2)


def top(at: int, bid: str, ask: str) -> Top:
    return Top(at * SECOND, Decimal(bid), Decimal(ask), Decimal(1), Decimal(1))


def quoted(at: int, bid: float, ask: float) -> Said:
    return Said(at * SECOND, 0.0, 1.0, "QUOTING", Quotes(bid, 1.0 if bid else 0.0, ask, 1.0 if ask else 0.0))


def test_a_quote_fills_where_the_book_trades_through_it_and_pays_the_makers_fee() -> None:
    """Bought one at 99, still held at a middle of 99: 0 less a fee of 10 bps of 99."""
    tops = [top(0, "100", "101"), top(1, "100", "101"), top(2, "98", "98.5"), top(3, "98.5", "99.5")]
    said = [quoted(0, 99.0, 0.0), None, None, None]
    followed = quotes_followed(
        spot(), tops, said, cash=Decimal(1000), inventory=Decimal(0), maker_rate=100_000
    )
    assert followed.fees == Decimal("0.099")
    assert followed.result == Decimal("-0.099")


def test_what_inventory_gains_by_itself_is_not_the_quotes_doing() -> None:
    """Two held while the middle falls by ten; nothing is quoted, so nothing is earned or lost."""
    tops = [top(0, "100", "101"), top(1, "90", "91")]
    followed = quotes_followed(
        spot(), tops, [None, None], cash=Decimal(1000), inventory=Decimal(2), maker_rate=100_000
    )
    assert followed.result == followed.fees == 0


def test_targets_are_traded_at_the_middle_they_were_decided_at() -> None:
    """A fifth of 1000 at 100 is two; sold at 110 that earns 20, less 10 bps of 200 and of 220."""
    tops = [top(0, "99.5", "100.5"), top(1, "104.5", "105.5"), top(2, "109.5", "110.5")]
    said = [Said(0, 0.2, 1.0, "ENTRY"), Said(SECOND, 0.2, 1.0, "HELD"), Said(2 * SECOND, 0.0, 1.0, "OUT")]
    followed = targets_followed(spot(), tops, said, capital=Decimal(1000), taker_rate=Decimal("0.001"))
    assert followed.fees == Decimal("0.42")
    assert followed.result == Decimal("19.58")


@pytest.mark.parametrize("target", [-0.2, 0.0])
def test_a_negative_target_on_spot_is_zero(target: float) -> None:
    tops, said = [top(0, "99.5", "100.5"), top(1, "50", "51")], [Said(0, target, 1.0, "SHORT"), None]
    followed = targets_followed(spot(), tops, said, capital=Decimal(1000), taker_rate=Decimal("0.001"))
    assert (followed.result, followed.fees) == (0, 0)
