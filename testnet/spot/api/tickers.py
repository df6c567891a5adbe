"""Tickers over windows a client chooses, and the reference prices no symbol has."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.api.params import Params
from testnet.errors import ApiError, illegal_characters, mandatory
from testnet.listing import DaySummary, Listing
from testnet.values import units_text

_WINDOW = re.compile(r"([0-9]{1,2})([mhd])", re.ASCII)
_WINDOW_RANGE = "^(([1-5][0-9]|[1-9])m|([1-9]|1[0-9]|2[0-3])h|[1-7]d)$"
_MINUTES = {"m": (1, 59), "h": (60, 23), "d": (1440, 7)}
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?", re.ASCII)
MAX_SYMBOLS = 100
WEIGHT_EACH, WEIGHT_MOST = 4, 200
Chosen = tuple[list[Listing], bool, str]


def _chosen(call: Call) -> Chosen:
    names = call.params.symbols()
    if not names:
        raise mandatory("symbol")
    if len(names) > MAX_SYMBOLS:
        raise ApiError(-1101, f"Too many symbols; at most {MAX_SYMBOLS} are allowed.")
    kind = call.params.values.get("type") or "FULL"
    if kind not in ("FULL", "MINI"):
        raise ApiError(-1139, "Invalid ticker type.")
    return [call.exchange.listing(name) for name in names], call.params.has("symbol"), kind


def _rolling_parse(call: Call) -> tuple[Chosen, int]:
    text = call.params.values.get("windowSize") or "1d"
    match = _WINDOW.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= _MINUTES[match[2]][1]:
        raise illegal_characters("windowSize", _WINDOW_RANGE)
    return _chosen(call), int(match[1]) * _MINUTES[match[2]][0]


def _rolling(call: Call, args: tuple[Chosen, int]) -> Json:
    (listings, single, kind), minutes = args
    now = call.exchange.now_ms()
    rows = [ticker_json(listing, listing.window(minutes, now), kind) for listing in listings]
    return rows[0] if single else rows


def _zone(text: str) -> timezone:
    match = _ZONE.fullmatch(text)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        if match[1] == "-":
            offset = -offset
        if timedelta(hours=-12) <= offset <= timedelta(hours=14):
            return timezone(offset)
    raise illegal_characters("timeZone", "-12:00 to +14:00")


def _trading_day_parse(call: Call) -> tuple[Chosen, timezone]:
    return _chosen(call), _zone(call.params.values.get("timeZone") or "0")


def _trading_day(call: Call, args: tuple[Chosen, timezone]) -> Json:
    (listings, single, kind), zone = args
    now = call.exchange.now_ms()
    local = datetime.fromtimestamp(now // 1000, UTC).astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = (now // 1000 - int(midnight.timestamp())) // 60
    rows = [ticker_json(listing, listing.window(max(1, minutes), now), kind) for listing in listings]
    return rows[0] if single else rows


def ticker_json(listing: Listing, window: DaySummary, kind: str) -> dict[str, Any]:
    """A ticker over a window, in its FULL or MINI form."""
    instrument, tape = listing.instrument, listing.tape
    body: dict[str, Any] = {"symbol": instrument.symbol}
    if kind == "FULL":
        change = window.last - window.open
        percent = round(change * 100_000 / window.open) if window.open else 0
        average = window.quote * 10**8 // (window.volume * instrument.step) if window.volume else 0
        body["priceChange"] = units_text(change * instrument.tick)
        body["priceChangePercent"] = f"{percent / 1000:.3f}"
        body["weightedAvgPrice"] = units_text(average)
    return body | {
        "openPrice": instrument.price_text(window.open),
        "highPrice": instrument.price_text(window.high),
        "lowPrice": instrument.price_text(window.low),
        "lastPrice": instrument.price_text(window.last),
        "volume": instrument.qty_text(window.volume),
        "quoteVolume": units_text(window.quote),
        "openTime": window.open_ms,
        "closeTime": window.close_ms,
        "firstId": max(0, tape.trade_id - window.trades + 1),
        "lastId": tape.trade_id,
        "count": window.trades,
    }


def _weight(params: Params) -> int:
    names = params.symbols()
    return min(WEIGHT_MOST, WEIGHT_EACH * max(1, len(names or ())))


def _symbol(call: Call) -> Listing:
    return call.exchange.listing(call.params.symbol())


def _no_reference(call: Call, listing: Listing) -> Json:
    raise ApiError(-2043, "This symbol does not have a reference price.")


ENDPOINTS = [
    Endpoint("GET", "/api/v3/ticker", _weight, _rolling_parse, _rolling, ws_method="ticker"),
    Endpoint(
        "GET",
        "/api/v3/ticker/tradingDay",
        _weight,
        _trading_day_parse,
        _trading_day,
        ws_method="ticker.tradingDay",
    ),
    Endpoint("GET", "/api/v3/referencePrice", fixed(2), _symbol, _no_reference, ws_method="referencePrice"),
    Endpoint(
        "GET",
        "/api/v3/referencePrice/calculation",
        fixed(2),
        _symbol,
        _no_reference,
        ws_method="referencePrice.calculation",
    ),
]
