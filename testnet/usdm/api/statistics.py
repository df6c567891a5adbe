"""Open interest and the ratios of `/futures/data`, computed from what this market knows.

Users' positions are counted exactly. The background market's open interest and the accounts behind it do
not exist one by one here: they are modelled from its turnover and its takers' direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.errors import ApiError
from testnet.klines import Bar
from testnet.listing import Listing
from testnet.usdm.api.public import get, listing_of
from testnet.values import SCALE, fixed_text, units_text

PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
_TURNOVER_BARS = 288  # five-minute candles of a day
_OPEN_SHARE = 3  # a day's turnover is about three times what is open


class Asked(NamedTuple):
    """A contract and the periods wanted."""

    listing: Listing
    bars: list[Bar]
    period: str


def _parse(name: str) -> Callable[[Call], Asked]:
    def parse(call: Call) -> Asked:
        params = call.params
        listing = listing_of(call, name)
        period = params.choice("period", PERIODS, -1130, "parameter 'period' is invalid.")
        start, end = params.time_ms("startTime"), params.time_ms("endTime")
        limit = params.limit(30, 500)
        bars = listing.klines.select(period, start, end, limit + 1)
        running = listing.klines.running(period)
        # Only finished periods have figures.
        closed = [bar for bar in bars if running is None or bar.open_ms != running.open_ms]
        return Asked(listing, closed[:limit] if start is not None else closed[-limit:], period)

    return parse


def open_steps(call: Call, listing: Listing, until_ms: int | None = None) -> int:
    """Open interest in steps at a moment (now unless given): longs held plus the modelled background."""
    bars = listing.klines.select("5m", None, until_ms, _TURNOVER_BARS)
    background = sum(bar.volume for bar in bars) // _OPEN_SHARE
    # Every position has its other side, also where that is the background market.
    held = sum(
        position.steps
        for account in call.exchange.usdm_market.accounts.by_id.values()
        for position in account.held(symbol=listing.instrument.symbol)
        if position.steps > 0
    )
    return background + held


def _open_interest(call: Call, listing: Listing) -> Json:
    return {
        "openInterest": listing.instrument.qty_text(open_steps(call, listing)),
        "symbol": listing.instrument.symbol,
        "time": call.exchange.now_ms(),
    }


def _interest_history(call: Call, asked: Asked) -> Json:
    instrument = asked.listing.instrument
    rows = []
    for bar in asked.bars:
        steps = open_steps(call, asked.listing, bar.open_ms)
        rows.append(
            {
                "symbol": instrument.symbol,
                "sumOpenInterest": units_text(steps * instrument.step),
                "sumOpenInterestValue": units_text(steps * bar.open * instrument.quote_per),
                "timestamp": bar.open_ms,
            }
        )
    return rows


def _long_share(bar: Bar) -> int:
    """Share of accounts that are long, times 1e8: buyers' share of the turnover, pulled half way to a half."""
    bought = bar.taker_volume * SCALE // bar.volume if bar.volume else SCALE // 2
    return (bought + SCALE // 2) // 2


def _ratio(call: Call, asked: Asked) -> Json:
    rows: list[dict[str, Any]] = []
    for bar in asked.bars:
        share = min(SCALE - 10**4, max(10**4, _long_share(bar)))
        rows.append(
            {
                "symbol": asked.listing.instrument.symbol,
                "longShortRatio": fixed_text(share * SCALE // (SCALE - share), 4),
                "longAccount": fixed_text(share, 4),
                "shortAccount": fixed_text(SCALE - share, 4),
                "timestamp": bar.open_ms,
            }
        )
    return rows


def _taker_ratio(call: Call, asked: Asked) -> Json:
    instrument = asked.listing.instrument
    rows: list[dict[str, Any]] = []
    for bar in asked.bars:
        sold = bar.volume - bar.taker_volume
        ratio = bar.taker_volume * SCALE // sold if sold else 0
        rows.append(
            {
                "buySellRatio": fixed_text(ratio, 4),
                "buyVol": instrument.qty_text(bar.taker_volume),
                "sellVol": instrument.qty_text(sold),
                "timestamp": bar.open_ms,
            }
        )
    return rows


def _basis(call: Call, asked: Asked) -> Json:
    if call.params.has("contractType") and call.params.text("contractType") != "PERPETUAL":
        raise ApiError(-4144, "Invalid contractType.")
    instrument = asked.listing.instrument
    klines = call.exchange.marks.sheet(instrument.key).klines["index"]
    by_open = {bar.open_ms: bar for bar in klines.closed[asked.period]}
    rows: list[dict[str, Any]] = []
    for bar in asked.bars:
        index = by_open.get(bar.open_ms)
        if index is None:
            continue
        price = bar.close * instrument.tick
        basis = price - index.close
        rows.append(
            {
                "indexPrice": units_text(index.close),
                "contractType": "PERPETUAL",
                "basisRate": fixed_text(basis * SCALE // index.close, 4),
                "futuresPrice": instrument.price_text(bar.close),
                "annualizedBasisRate": "",
                "basis": units_text(basis),
                "pair": instrument.symbol,
                "timestamp": bar.open_ms,
            }
        )
    return rows


ENDPOINTS: list[Endpoint] = [
    get("/fapi/v1/openInterest", fixed(1), listing_of, _open_interest),
    get("/futures/data/openInterestHist", fixed(0), _parse("symbol"), _interest_history),
    get("/futures/data/topLongShortPositionRatio", fixed(0), _parse("symbol"), _ratio),
    get("/futures/data/topLongShortAccountRatio", fixed(0), _parse("symbol"), _ratio),
    get("/futures/data/globalLongShortAccountRatio", fixed(0), _parse("symbol"), _ratio),
    get("/futures/data/takerlongshortRatio", fixed(0), _parse("symbol"), _taker_ratio),
    get("/futures/data/basis", fixed(0), _parse("pair"), _basis),
    # Perpetuals are never delivered.
    get("/futures/data/delivery-price", fixed(0), lambda call: listing_of(call, "pair"), lambda call, _: []),
]
