"""Triggers: fixed and trailing levels, their order, and what survives being written down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testnet.triggers import Trigger, TriggerBook


def run(book: TriggerBook, prices: list[int]) -> list[tuple[int, list[int]]]:
    return [(price, fired) for price in prices if (fired := book.due(price))]


def test_rising_trigger_fires_at_its_price_and_falling_one_too() -> None:
    book = TriggerBook()
    book.add(Trigger(1, rises=True, price=101))
    book.add(Trigger(2, rises=False, price=99))
    assert run(book, [100, 101]) == [(101, [1])]
    assert run(book, [100, 99]) == [(99, [2])]
    assert len(book) == 0


def test_triggers_of_one_jump_fire_nearest_first_then_oldest_first() -> None:
    book = TriggerBook()
    book.due(100)
    for key, price in ((1, 130), (2, 110), (3, 120), (4, 110)):
        book.add(Trigger(key, rises=True, price=price))
    assert book.due(140) == [2, 4, 3, 1]


def test_falling_triggers_of_one_jump_fire_highest_first() -> None:
    book = TriggerBook()
    book.due(100)
    for key, price in ((1, 70), (2, 90), (3, 80)):
        book.add(Trigger(key, rises=False, price=price))
    assert book.due(60) == [2, 3, 1]


# The venue's own scenarios (its trailing stop FAQ): prices as they came, and the one that fires.
SCENARIOS = {
    "A: stop loss buy": (
        Trigger(1, rises=True, trailing=500, activation=44_000, activates_above=True),
        [40_000, 37_000, 44_000, 45_000, 46_000, 42_000, 44_099, 44_100],
        44_100,
    ),
    "B: stop loss sell": (
        Trigger(1, rises=False, trailing=1_000, activation=39_000, activates_above=False),
        [40_000, 41_500, 39_000, 37_000, 41_000, 36_901, 36_900],
        36_900,
    ),
    "C: take profit buy": (
        Trigger(1, rises=True, trailing=850, activation=38_000, activates_above=False),
        [40_000, 42_000, 38_000, 37_000, 39_000, 38_000, 40_144, 40_145],
        40_145,
    ),
    "D: take profit sell, in halves": (
        Trigger(1, rises=False, trailing=750, activation=84_000, activates_above=True),
        [80_000, 83_000, 78_000, 84_000, 90_000, 88_000, 93_000, 86_026, 86_025],
        86_025,
    ),
    "E: no stop price": (
        Trigger(1, rises=False, trailing=700),
        [40_000, 42_000, 39_500, 45_500, 42_316, 42_315],
        42_315,
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_trailing_trigger_follows_the_venues_own_scenario(name: str) -> None:
    trigger, prices, fires_at = SCENARIOS[name]
    book = TriggerBook()
    book.add(
        Trigger(
            trigger.key,
            trigger.rises,
            trailing=trigger.trailing,
            activation=trigger.activation,
            activates_above=trigger.activates_above,
        )
    )
    assert run(book, prices) == [(fires_at, [1])]


def test_removed_trigger_does_not_fire() -> None:
    book = TriggerBook()
    book.add(Trigger(1, rises=True, price=101))
    book.add(Trigger(2, rises=True, trailing=100))
    assert book.remove(1)
    assert book.remove(2)
    assert not book.remove(2)
    assert run(book, [100, 200]) == []


def test_same_key_twice_and_a_trigger_without_level_are_refused() -> None:
    book = TriggerBook()
    book.add(Trigger(1, rises=True, price=101))
    with pytest.raises(ValueError, match="armed already"):
        book.add(Trigger(1, rises=True, price=102))
    with pytest.raises(ValueError, match="distance"):
        book.add(Trigger(2, rises=False, trailing=10_000))


triggers = st.builds(
    lambda rises, price, trailing, activation, above: Trigger(
        0, rises, 0 if trailing else price, trailing, activation if trailing else 0, above
    ),
    st.booleans(),
    st.integers(90, 110),
    st.sampled_from([0, 0, 100, 500, 900]),
    st.sampled_from([0, 95, 105]),
    st.booleans(),
)
prices = st.lists(st.integers(80, 120), min_size=1, max_size=30)


def naive(rows: list[Trigger], walk: list[int]) -> set[tuple[int, int]]:
    """Which key fires at which step, by looking at the whole history each time."""
    fired: set[tuple[int, int]] = set()
    for row in rows:
        start: int | None = None
        for step, price in enumerate(walk):
            if not row.trailing:
                hit = price >= row.price if row.rises else price <= row.price
            else:
                if start is None and (
                    not row.activation
                    or (price >= row.activation if row.activates_above else price <= row.activation)
                ):
                    start = step
                if start is None:
                    continue
                best = min(walk[start : step + 1]) if row.rises else max(walk[start : step + 1])
                moved = (price - best) * 10_000 if row.rises else (best - price) * 10_000
                hit = moved >= best * row.trailing
            if hit:
                fired.add((step, row.key))
                break
    return fired


@given(st.lists(triggers, max_size=12), prices, st.integers(0, 29))
def test_book_fires_what_a_look_at_the_whole_history_fires_also_after_a_restart(
    rows: list[Trigger], walk: list[int], cut: int
) -> None:
    book = TriggerBook()
    for key, row in enumerate(rows, start=1):
        row.key = key
        book.add(Trigger(key, row.rises, row.price, row.trailing, row.activation, row.activates_above))
    fired: set[tuple[int, int]] = set()
    for step, price in enumerate(walk):
        if step == cut:
            book = TriggerBook.restored(json.loads(json.dumps(book.state())))
        fired |= {(step, key) for key in book.due(price)}
    assert fired == naive(rows, walk)
