"""USD-M balances, positions, income and what else an account may ask of itself."""

from __future__ import annotations

from typing import Any, NamedTuple

from testnet.api.call import Call, Endpoint, Json, Weight, fixed, nothing
from testnet.errors import ApiError
from testnet.listing import Listing
from testnet.usdm.account import FuturesAccount
from testnet.usdm.account_json import (
    NOTHING,
    PositionView,
    asset_json,
    balance_json,
    margin_assets,
    position_sides,
    totals_json,
)
from testnet.usdm.api.order_params import listing_of, optional_listing
from testnet.usdm.income import KINDS, Income
from testnet.usdm.margin import AssetMargin, terms
from testnet.usdm.positions import BOTH, LONG, SHORT
from testnet.values import SCALE, trimmed_text, units_text

WEEK_MS = 7 * 86_400_000


def futures_of(call: Call) -> FuturesAccount:
    """The caller's USD-M account."""
    return call.exchange.usdm_market.accounts.of(call.owner.account_id)


def _margins(call: Call) -> dict[str, AssetMargin]:
    market, account = call.exchange.usdm_market, futures_of(call)
    return {
        asset: NOTHING if call.zero_balances else market.margin.asset(account, asset)
        for asset in margin_assets(market, account)
    }


def _updated_ms(call: Call) -> int:
    # Some clients drop an asset whose time is 0.
    return futures_of(call).updated_ms or call.exchange.now_ms()


def _views(call: Call, listing: Listing | None = None) -> list[PositionView]:
    market, account = call.exchange.usdm_market, futures_of(call)
    listings = [listing] if listing is not None else list(market.engine.listings.values())
    return [
        PositionView(market, account, row.instrument, side)
        for row in listings
        for side in position_sides(account)
    ]


def _account_v2(call: Call, _: None) -> Json:
    margins, key = _margins(call), call.key
    return {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": bool(key and key.permissions.trade),
        "canDeposit": True,
        "canWithdraw": bool(key and key.permissions.withdraw),
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        **totals_json(list(margins.values())),
        "assets": [asset_json(a, row, _updated_ms(call), version=2) for a, row in margins.items()],
        "positions": [view.of_account_v2() for view in _views(call)],
    }


def _account_v3(call: Call, _: None) -> Json:
    margins = _margins(call)
    return {
        **totals_json(list(margins.values())),
        "assets": [asset_json(a, row, _updated_ms(call), version=3) for a, row in margins.items()],
        "positions": [view.of_account_v3() for view in _views(call) if view.is_used],
    }


def _balance(call: Call, _: None) -> Json:
    alias = f"{call.owner.uid % 36**4:04x}"
    return [balance_json(alias, a, row, _updated_ms(call)) for a, row in _margins(call).items()]


def _risk_v2(call: Call, listing: Listing | None) -> Json:
    return [view.risk_v2() for view in _views(call, listing)]


def _risk_v3(call: Call, listing: Listing | None) -> Json:
    return [view.risk_v3() for view in _views(call, listing) if view.is_used]


def _account_config(call: Call, _: None) -> Json:
    key = call.key
    return {
        "feeTier": 0,
        "canTrade": bool(key and key.permissions.trade),
        "canDeposit": True,
        "canWithdraw": bool(key and key.permissions.withdraw),
        "dualSidePosition": futures_of(call).hedge,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def _symbol_config(call: Call, listing: Listing | None) -> Json:
    account = futures_of(call)
    listings = [listing] if listing is not None else list(call.exchange.usdm.listings.values())
    rows = []
    for instrument in (row.instrument for row in listings):
        leverage = account.leverage(instrument.symbol)
        rows.append(
            {
                "symbol": instrument.symbol,
                "marginType": "ISOLATED" if instrument.symbol in account.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": leverage,
                "maxNotionalValue": trimmed_text(terms(instrument).max_notional(leverage)),
            }
        )
    return rows


def _brackets(call: Call, listing: Listing | None) -> Json:
    listings = [listing] if listing is not None else list(call.exchange.usdm.listings.values())
    return [
        {
            "symbol": row.instrument.symbol,
            "notionalCoef": 1.0,
            "brackets": [
                {
                    "bracket": bracket.number,
                    "initialLeverage": bracket.leverage,
                    "notionalCap": bracket.cap // SCALE,
                    "notionalFloor": bracket.floor // SCALE,
                    "maintMarginRatio": bracket.ratio / SCALE,
                    "cum": bracket.cum // SCALE if bracket.cum % SCALE == 0 else bracket.cum / SCALE,
                }
                for bracket in terms(row.instrument).brackets
            ],
        }
        for row in listings
    ]


def _commission(call: Call, listing: Listing) -> Json:
    account = futures_of(call)
    return {
        "symbol": listing.instrument.symbol,
        "makerCommissionRate": _rate(account.maker_rate),
        "takerCommissionRate": _rate(account.taker_rate),
        "rpiCommissionRate": _rate(account.maker_rate),
    }


def _rate(rate: int) -> str:
    text = trimmed_text(rate)
    return text if "." in text else text + ".0"


class IncomeRange(NamedTuple):
    """What part of the income history is asked for; times in market ms."""

    symbol: str | None
    kind: str | None
    start: int | None
    end: int | None
    page: int
    limit: int


def _income_parse(call: Call) -> IncomeRange:
    params = call.params
    listing = optional_listing(call)
    kind = None
    if params.has("incomeType"):
        kind = params.text("incomeType")
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None and end < start:
        raise ApiError(-1023, "Start time is greater than end time.")
    page = params.integer("page") or 1
    return IncomeRange(
        listing.instrument.symbol if listing is not None else None,
        kind,
        start,
        end,
        page,
        params.limit(100, 1000),
    )


def _income(call: Call, asked: IncomeRange) -> Json:
    if asked.kind is not None and asked.kind not in KINDS:
        return []
    start = asked.start
    if start is None and asked.end is None:
        start = call.exchange.now_ms() - WEEK_MS
    rows = [
        row
        for row in call.exchange.usdm_market.income.of(call.owner.account_id)
        if (asked.symbol is None or row.symbol == asked.symbol)
        and (asked.kind is None or row.kind == asked.kind)
        and (start is None or row.time_ms >= start)
        and (asked.end is None or row.time_ms <= asked.end)
    ]
    if asked.start is None and asked.end is None and asked.page == 1:
        return [income_json(row) for row in rows[-asked.limit :]]
    first = (asked.page - 1) * asked.limit
    return [income_json(row) for row in rows[first : first + asked.limit]]


def income_json(row: Income) -> dict[str, Any]:
    """One income row."""
    return {
        "symbol": row.symbol,
        "incomeType": row.kind,
        "income": units_text(row.units),
        "asset": row.asset,
        "info": row.info,
        "time": row.time_ms,
        "tranId": row.seq,
        "tradeId": row.trade_id,
    }


def _adl(call: Call, listing: Listing | None) -> Json:
    market, account = call.exchange.usdm_market, futures_of(call)
    grades: dict[str, dict[str, int]] = {}
    for position in account.held(symbol=listing.instrument.symbol if listing is not None else None):
        row = grades.setdefault(position.symbol, {})
        row[position.side] = market.liquidation.adl_grade(account, position)
    # In hedge mode the venue lists both sides; HEDGE is a sign for clients that show only one.
    return [
        {
            "symbol": symbol,
            "adlQuantile": {BOTH: row.get(BOTH, 0), LONG: row.get(LONG, 0), SHORT: row.get(SHORT, 0)}
            | ({"HEDGE": max(row.values())} if account.hedge else {}),
        }
        for symbol, row in grades.items()
    ]


def _order_limits(call: Call, _: None) -> Json:
    limits, now = call.venue.limits, call.venue.server_ms()
    return limits.order_rows(call.owner.account_id, now, "usdm")


def _trading_status(call: Call, _: object) -> Json:
    return {"indicators": {}, "updateTime": call.venue.server_ms()}


def _fee_burn(call: Call, _: None) -> Json:
    return {"feeBurn": False}


def _data(path: str, weight: Weight, parse: Any, run: Any, ws_method: str | None = None) -> Endpoint:
    return Endpoint("GET", f"/fapi/{path}", weight, parse, run, "USER_DATA", ws_method, market="usdm")


ENDPOINTS: list[Endpoint] = [
    _data("v2/account", fixed(5), nothing, _account_v2, "account.status"),
    _data("v3/account", fixed(5), nothing, _account_v3, "v2/account.status"),
    _data("v2/balance", fixed(5), nothing, _balance, "account.balance"),
    _data("v3/balance", fixed(5), nothing, _balance, "v2/account.balance"),
    _data("v2/positionRisk", fixed(5), optional_listing, _risk_v2, "account.position"),
    _data("v3/positionRisk", fixed(5), optional_listing, _risk_v3, "v2/account.position"),
    _data("v1/accountConfig", fixed(5), nothing, _account_config),
    _data("v1/symbolConfig", fixed(5), optional_listing, _symbol_config),
    _data("v1/leverageBracket", fixed(1), optional_listing, _brackets),
    _data("v1/commissionRate", fixed(20), listing_of, _commission),
    _data("v1/income", fixed(30), _income_parse, _income),
    _data("v1/adlQuantile", fixed(5), optional_listing, _adl),
    _data("v1/rateLimit/order", fixed(1), nothing, _order_limits),
    _data("v1/apiTradingStatus", fixed(1), optional_listing, _trading_status),
    _data("v1/feeBurn", fixed(30), nothing, _fee_burn),
]
