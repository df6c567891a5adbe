"""The difference between live and backtest, split by cause: each planted cause is found, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.parity import Said, Traded, compare, split

D = Decimal
EFFECTS = ("signal", "latency", "price", "size", "fee")


def one(**changes: Any) -> Traded:
    """Two bought at 100, as the backtest would have, for a fee of 0.2."""
    base = {"quantity": D(2), "price": D(100), "fee": D("0.2"), "reference": D(100), "arrival": D(100)}
    return Traded(**{**base, **changes})


def judged(trade: Traded, **changes: Any) -> Any:
    """The last price is 110: the backtest earned 2 x 10 less 0.2."""
    base = {
        "last_price": D(110),
        "carried_quantity": D(0),
        "carried_price": D(0),
        "followed": D("19.8"),
        "followed_fees": D("0.2"),
        "backtest": D("19.8"),
    }
    return split([trade], **{**base, **changes})


def test_the_same_trade_has_no_difference() -> None:
    found = judged(one())
    assert (found.live, found.difference) == (D("19.8"), 0)
    assert all(getattr(found, name) == 0 for name in EFFECTS)


@pytest.mark.parametrize(
    ("trade", "changes", "cause", "effect"),
    [
        (one(price=D("101"), arrival=D("101")), {}, "latency", D(-2)),
        (one(price=D("100.5")), {}, "price", D(-1)),
        (one(fee=D("0.5")), {}, "fee", D("-0.3")),
        (one(quantity=D(1), fee=D("0.2")), {}, "size", D(-10)),
        (one(), {"backtest": D(25)}, "signal", D("-5.2")),
    ],
)
def test_each_planted_cause_is_named_and_no_other(
    trade: Traded, changes: dict[str, Decimal], cause: str, effect: Decimal
) -> None:
    found = judged(trade, **changes)
    assert getattr(found, cause) == effect == found.difference
    assert all(getattr(found, name) == 0 for name in EFFECTS if name != cause)


amounts = st.decimals(min_value=-1000, max_value=1000, places=4)
prices = st.decimals(min_value=1, max_value=1000, places=2)
trades = st.builds(Traded, quantity=amounts, price=prices, fee=amounts, reference=prices, arrival=prices)


@given(st.lists(trades, max_size=6), prices, amounts, prices, amounts, amounts, amounts)
def test_the_parts_always_sum_to_the_difference(
    every: list[Traded],
    last: Decimal,
    held: Decimal,
    at: Decimal,
    followed: Decimal,
    fees: Decimal,
    own: Decimal,
) -> None:
    found = split(
        every,
        last_price=last,
        carried_quantity=held,
        carried_price=at,
        followed=followed,
        followed_fees=fees,
        backtest=own,
    )
    assert sum(getattr(found, name) for name in (*EFFECTS, "carried")) == found.difference
    assert found.fill == found.price + found.size


def test_decisions_are_compared_bar_by_bar() -> None:
    a, b, c = (Said(ns, 1.0, 0.5, "UP") for ns in (1, 2, 3))
    other = Said(2, 0.0, 0.5, "DOWN")
    found = compare([a, other], [a, b, c])
    assert (found.same, found.compared) == (1, 3)
    assert [(d.close_ns, d.kind) for d in found.differences] == [(2, "other"), (3, "missing")]
    assert [d.kind for d in compare([c], []).differences] == ["extra"]
