"""Changing what a listed symbol asks of new orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from testnet.errors import ApiError
from testnet.instruments import Instrument
from testnet.listing import Listing
from testnet.values import trimmed_text

GRID = ("tickSize", "stepSize")
LIMITS = {
    "minPrice": "min_price",
    "maxPrice": "max_price",
    "minQty": "min_qty",
    "maxQty": "max_qty",
    "marketMaxQty": "market_max_qty",
    "minNotional": "min_notional",
    "maxNotional": "max_notional",
}


def changed(listing: Listing, filters: Mapping[str, int]) -> Instrument:
    """A listed symbol's instrument with other limits, or a coarser tick or step for new orders.

    Raises
    ------
    ApiError : a tick or step finer than the book is kept in, or limits that contradict.
    """
    instrument = listing.instrument
    tick = filters.get("tickSize", instrument.tick_size)
    step = filters.get("stepSize", instrument.step_size)
    if tick <= 0 or step <= 0 or tick % instrument.tick or step % instrument.step:
        raise ApiError(
            -1100,
            "filters: a new tick or step must be a multiple of the one the symbol was listed with "
            f"({trimmed_text(instrument.tick)} and {trimmed_text(instrument.step)})",
        )
    return limited(replace(instrument, announced_tick=tick, announced_step=step), filters)


def limited(instrument: Instrument, filters: Mapping[str, int]) -> Instrument:
    """An instrument with other limits (1e-8 units, by the names of exchangeInfo).

    Raises
    ------
    ApiError : limits that contradict each other, or off the grid.
    """
    limits: dict[str, Any] = {LIMITS[name]: value for name, value in filters.items() if name in LIMITS}
    result = replace(instrument, **limits)
    for low, high in (
        (result.min_price, result.max_price),
        (result.min_qty, result.max_qty),
        (result.min_notional, result.max_notional),
    ):
        if low > high:
            raise ApiError(-1100, "filters: a smallest value lies above the largest")
    for value, unit in (
        (result.min_price, result.tick),
        (result.max_price, result.tick),
        (result.min_qty, result.step),
        (result.max_qty, result.step),
        (result.market_max_qty, result.step),
    ):
        if value <= 0 or value % unit:
            raise ApiError(-1100, "filters: prices must be multiples of the tick, quantities of the step")
    return result
