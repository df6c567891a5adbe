"""Hedge mode: which of the two positions of a symbol an order is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from trading.domain.orders import OrderIntent
from trading.domain.values import Market, PositionSide, Side

OF_EXIT = {Side.SELL: PositionSide.LONG, Side.BUY: PositionSide.SHORT}
"""The position an exit of this side leaves."""


def position_sides(market: Market, *, hedge: bool) -> tuple[PositionSide, ...]:
    """The positions a symbol can have."""
    if hedge and market is Market.usdm:
        return PositionSide.LONG, PositionSide.SHORT
    return (PositionSide.BOTH,)


def wrong_side(
    market: Market, side: Side, position_side: PositionSide, *, hedge: bool, reduce_only: bool
) -> str:
    """Say why an order cannot be for this position; nothing where it can.

    In hedge mode it must be named: an order with the wrong one would open what it was meant to close.
    """
    allowed = position_sides(market, hedge=hedge)
    if position_side not in allowed:
        words = " or ".join(allowed)
        mode = "in hedge mode" if len(allowed) > 1 else "outside hedge mode"
        return f"position_side: expected {words} {mode}, was {position_side}"
    if reduce_only and position_side is not PositionSide.BOTH and OF_EXIT[side] is not position_side:
        return f"a {side} does not reduce a {position_side} position"
    return ""


def on_sides(intents: Iterable[OrderIntent], *, long: int, short: int) -> tuple[OrderIntent, ...]:
    """Divide the orders of a net plan: what is held against them is closed first, the rest opens.

    Parameters
    ----------
    long, short : steps of each position that no order on its way closes already; neither is negative.
    """
    held = {PositionSide.LONG: long, PositionSide.SHORT: short}
    divided: list[OrderIntent] = []
    for intent in intents:
        closing, opening = OF_EXIT[intent.side], OF_EXIT[intent.side.opposite]
        closed = min(intent.quantity, held[closing])
        held[closing] -= closed
        if closed:
            divided.append(replace(intent, quantity=closed, position_side=closing, reduce_only=True))
        if intent.quantity > closed:
            rest = intent.quantity - closed
            divided.append(replace(intent, quantity=rest, position_side=opening, reduce_only=False))
    return tuple(divided)
