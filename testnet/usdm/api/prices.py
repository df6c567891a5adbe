"""Mark and index prices, premium and funding."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.klines import end_of
from testnet.listing import Listing
from testnet.usdm.api.public import Span, get, klines_weight, listing_of, span_parse
from testnet.usdm.catalog import MARGIN_ASSETS
from testnet.usdm.contracts import INTEREST_8H
from testnet.usdm.funding import FundingRow
from testnet.usdm.mark import terms_of
from testnet.values import SCALE, units_text


def premium_json(call: Call, listing: Listing) -> dict[str, Any]:
    """Mark, index and the rate the running interval would settle at."""
    sheet = call.exchange.marks.sheet(listing.instrument.key)
    return {
        "symbol": listing.instrument.symbol,
        "markPrice": units_text(sheet.mark),
        "indexPrice": units_text(sheet.index),
        "estimatedSettlePrice": units_text(sheet.settle_price()),
        "lastFundingRate": units_text(sheet.rate(terms_of(listing))),
        "interestRate": units_text(INTEREST_8H),
        "nextFundingTime": sheet.next_funding_ms,
        "time": call.exchange.now_ms(),
    }


def _optional(call: Call) -> Listing | None:
    return listing_of(call) if call.params.has("symbol") else None


def _premium(call: Call, listing: Listing | None) -> Json:
    if listing is not None:
        return premium_json(call, listing)
    return [premium_json(call, row) for row in call.exchange.usdm.listings.values()]


def _sheet_klines(kind: str) -> Any:
    def run(call: Call, span: Span) -> Json:
        klines = call.exchange.marks.sheet(span.listing.instrument.key).klines[kind]
        return [
            [
                bar.open_ms,
                *(units_text(value) for value in bar[1:5]),
                "0",
                end_of(span.interval, bar.open_ms) - 1,
                "0",
                bar.trades,
                "0",
                "0",
                "0",
            ]
            for bar in span.of(klines)
        ]

    return run


# -- funding -------------------------------------------------------------------------------


def _funding_parse(call: Call) -> tuple[Listing | None, int | None, int | None, int]:
    params = call.params
    return (
        _optional(call),
        params.time_ms("startTime"),
        params.time_ms("endTime"),
        params.limit(100, 1_000),
    )


def _funding(call: Call, args: tuple[Listing | None, int | None, int | None, int]) -> Json:
    listing, start, end, limit = args
    chosen = [listing] if listing is not None else list(call.exchange.usdm.listings.values())
    rows: list[tuple[str, FundingRow]] = [
        (one.instrument.symbol, row)
        for one in chosen
        for row in call.exchange.marks.sheet(one.instrument.key).history
        if (start is None or row.time_ms >= start) and (end is None or row.time_ms <= end)
    ]
    rows.sort(key=lambda row: row[1].time_ms)
    return [
        {
            "symbol": symbol,
            "fundingTime": row.time_ms,
            "fundingRate": units_text(row.rate),
            "markPrice": units_text(row.mark),
            "rateType": "Regular",
        }
        for symbol, row in (rows[:limit] if start is not None else rows[-limit:])
    ]


def _funding_info(call: Call, _: Listing | None) -> Json:
    rows = []
    for listing in call.exchange.usdm.listings.values():
        terms = terms_of(listing)
        rows.append(
            {
                "symbol": listing.instrument.symbol,
                "adjustedFundingRateCap": units_text(terms.funding_cap),
                "adjustedFundingRateFloor": units_text(terms.funding_floor),
                "fundingIntervalHours": terms.funding_hours,
                "disclaimer": False,
            }
        )
    return rows


# -- the index -----------------------------------------------------------------------------


def _constituents(call: Call, listing: Listing) -> Json:
    # The index is the middle of the spot book here and nowhere else.
    return {
        "symbol": listing.instrument.symbol,
        "time": call.exchange.now_ms(),
        "constituents": [
            {
                "exchange": "binance",
                "symbol": listing.instrument.symbol,
                "price": units_text(call.exchange.marks.index_of(listing)),
                "weight": units_text(SCALE),
            }
        ],
    }


def _asset_index(call: Call, _: None) -> Json:
    # Margin is held in dollar coins only; each counts as one dollar, without a haircut.
    one, none = units_text(SCALE), units_text(0)
    rows: list[dict[str, Any]] = [
        {
            "symbol": f"{asset}USD",
            "time": call.exchange.now_ms(),
            "index": one,
            "bidBuffer": none,
            "askBuffer": none,
            "bidRate": one,
            "askRate": one,
            "autoExchangeBidBuffer": none,
            "autoExchangeAskBuffer": none,
            "autoExchangeBidRate": one,
            "autoExchangeAskRate": one,
        }
        for asset in MARGIN_ASSETS
    ]
    wanted = call.params.values.get("symbol")
    if not wanted:
        return rows
    return next((row for row in rows if row["symbol"] == wanted), {})


ENDPOINTS: list[Endpoint] = [
    get(
        "/fapi/v1/premiumIndex",
        lambda params: 1 if params.has("symbol") else 10,
        _optional,
        _premium,
    ),
    get("/fapi/v1/markPriceKlines", klines_weight, span_parse("symbol"), _sheet_klines("mark")),
    get("/fapi/v1/indexPriceKlines", klines_weight, span_parse("pair"), _sheet_klines("index")),
    get("/fapi/v1/premiumIndexKlines", klines_weight, span_parse("symbol"), _sheet_klines("premium")),
    get("/fapi/v1/fundingRate", fixed(1), _funding_parse, _funding),
    get("/fapi/v1/fundingInfo", fixed(1), _optional, _funding_info),
    get("/fapi/v1/constituents", fixed(2), listing_of, _constituents),
    get("/fapi/v1/indexInfo", fixed(1), _optional, lambda call, _: []),
    get(
        "/fapi/v1/assetIndex", lambda params: 1 if params.has("symbol") else 10, lambda _: None, _asset_index
    ),
]
