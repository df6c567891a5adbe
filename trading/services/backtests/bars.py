"""Stored bars as the backtester takes them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import numpy as np

from nautilus_site.common.errors import NotFound
from trading.domain.backtest import BarSeries
from trading.domain.clock import NS_PER_MS, datetime_to_ns, interval_ns
from trading.domain.values import Instrument, Market, multiple_of
from trading.services.backtests.columns import RAW_PER_UNIT, columns_read
from universe.selectors import instrument_get, kline_file_get

_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY")
_FINEST_VALUE: Final = Decimal("0.01")
"""Without the venue's word a step is worth about this much of the quote currency, or less."""


def series_load(
    symbol: str,
    interval: str,
    market: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    quantity: Decimal | None = None,
) -> tuple[BarSeries, tuple[str, ...]]:
    """Return stored bars with their instrument, and what a person should know about them.

    Parameters
    ----------
    start, end : bars that open at or after `start` and before `end`.
    quantity : a fixed quantity the run is to trade, which an instrument we must guess has to allow.

    Raises
    ------
    NotFound : code NO_BARS; nothing is stored, or nothing in that time.
    ApplicationError : code KLINE_FILE_CHANGED.
    """
    row = kline_file_get(symbol, interval, market)
    if row is None:
        hint = f"manage.py klines import FILE --symbol {symbol} --interval {interval} --market {market}"
        raise NotFound("NO_BARS", f"no {market} bars of {symbol} {interval} are stored; {hint}")
    columns = columns_read(row)
    notes: list[str] = []
    finest = multiple_of(1, Decimal(f"1E-{columns.places}"))
    try:
        instrument = instrument_get(symbol, market).to_domain()
    except NotFound:
        instrument = _guessed(symbol, Market(market), finest, int(columns.prices[3][0]), quantity)
        notes.append(
            f"the venue's filters of {symbol} are not known: tick {instrument.tick_size}, "
            f"step {instrument.step_size}, no minimum notional"
        )
    if Fraction(finest) % Fraction(instrument.tick_size):
        # Older bars of a symbol may be finer than its filters of today.
        notes.append(f"the bars are finer than the tick {instrument.tick_size}; {finest} is used")
        instrument = replace(instrument, tick_size=finest)
    if not instrument.is_trading:
        instrument = replace(instrument, status="TRADING")  # it traded when these bars were made
    tick = int(Fraction(instrument.tick_size) * RAW_PER_UNIT)
    opened, highest, lowest, closed = (price // tick for price in columns.prices)
    volume, quote_volume, taker_base = columns.amounts
    series = BarSeries(
        instrument,
        interval,
        columns.open_ns,
        columns.open_ns + np.int64(interval_ns(interval) - NS_PER_MS),
        opened,
        highest,
        lowest,
        closed,
        volume,
        quote_volume,
        columns.trades,
        taker_base,
    )
    if start is None and end is None:
        return series, tuple(notes)
    try:
        series = series.between(_ns(start), _ns(end))
    except ValueError:
        raise NotFound(
            "NO_BARS",
            f"no bars of {symbol} {interval} in that time; stored are {row.first_open_time:%Y-%m-%d %H:%M} "
            f"to {row.last_open_time:%Y-%m-%d %H:%M}",
        ) from None
    return series, tuple(notes)


def _ns(at: datetime | None) -> int | None:
    return None if at is None else datetime_to_ns(at)


def _guessed(
    symbol: str, market: Market, tick: Decimal, first_raw: int, quantity: Decimal | None
) -> Instrument:
    quote = next((q for q in _QUOTES if symbol.endswith(q) and symbol != q), symbol[-4:])
    price = Decimal(first_raw) / RAW_PER_UNIT
    exponent = min(0, math.floor((_FINEST_VALUE / price).log10()))
    if quantity is not None:
        finest = quantity.normalize().as_tuple().exponent
        exponent = min(exponent, finest if isinstance(finest, int) else 0)
    zero = Decimal(0)
    return Instrument(
        symbol=symbol,
        market=market,
        base_asset=symbol.removesuffix(quote),
        quote_asset=quote,
        status="TRADING",
        tick_size=tick,
        step_size=Decimal(f"1E{max(exponent, -8)}"),
        min_price=zero,
        max_price=zero,
        min_quantity=zero,
        max_quantity=zero,
        market_step_size=zero,
        market_min_quantity=zero,
        market_max_quantity=zero,
        min_notional=zero,
        max_notional=zero,
        apply_min_to_market=False,
        apply_max_to_market=False,
        percent_price=None,
        max_open_orders=0,
        order_types=frozenset(),
    )
