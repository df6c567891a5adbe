"""What an account sets for its USD-M positions: leverage, margin type, mode and isolated margin."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed, nothing
from testnet.errors import ApiError, mandatory
from testnet.listing import Listing
from testnet.usdm.api.account import futures_of
from testnet.usdm.api.order_params import listing_of, position_side_of
from testnet.usdm.margin import terms
from testnet.usdm.settings import ADD, REDUCE, MarginMove
from testnet.values import SCALE, trimmed_text, units_text

SUCCESS = {"code": 200, "msg": "success"}


def _leverage_parse(call: Call) -> tuple[Listing, int]:
    listing = listing_of(call)
    leverage = call.params.integer("leverage")
    if leverage is None:
        raise mandatory("leverage")
    return listing, leverage


def _leverage(call: Call, asked: tuple[Listing, int]) -> Json:
    listing, leverage = asked
    call.exchange.usdm_market.set_leverage(call.owner.account_id, listing.instrument, leverage)
    return {
        "symbol": listing.instrument.symbol,
        "leverage": leverage,
        "maxNotionalValue": trimmed_text(terms(listing.instrument).max_notional(leverage)),
    }


def _type_parse(call: Call) -> tuple[str, bool]:
    listing = listing_of(call)
    kind = call.params.choice(
        "marginType",
        ("ISOLATED", "CROSSED"),
        -1130,
        "Data sent for parameter 'marginType' is not valid.",
    )
    return listing.instrument.symbol, kind == "ISOLATED"


def _margin_type(call: Call, asked: tuple[str, bool]) -> Json:
    symbol, isolated = asked
    call.exchange.usdm_market.settings.set_margin_type(call.owner.account_id, symbol, isolated=isolated)
    return SUCCESS


def _flag(name: str) -> Any:
    def parse(call: Call) -> bool:
        if not call.params.has(name):
            raise mandatory(name)
        return call.params.boolean(name, default=False)

    return parse


def _mode(call: Call, _: None) -> Json:
    return {"dualSidePosition": futures_of(call).hedge}


def _set_mode(call: Call, hedge: bool) -> Json:
    call.exchange.usdm_market.settings.set_hedge(call.owner.account_id, hedge=hedge)
    return SUCCESS


def _multi_assets(call: Call, _: None) -> Json:
    return {"multiAssetsMargin": False}


def _set_multi_assets(call: Call, wanted: bool) -> Json:
    if wanted:
        raise ApiError(-4084, "Method is not allowed currently. Upcoming soon.")
    raise ApiError(-4171, "No need to change multi-assets mode.")


def _set_fee_burn(call: Call, wanted: bool) -> Json:
    if wanted:
        raise ApiError(-4084, "Method is not allowed currently. Upcoming soon.")
    return SUCCESS


def _margin_parse(call: Call) -> tuple[Listing, str, int, int]:
    listing, params = listing_of(call), call.params
    for name in ("amount", "type"):
        if not params.has(name):
            raise mandatory(name)
    kind = params.integer("type")
    if kind not in (ADD, REDUCE):
        raise ApiError(-1130, "Data sent for parameter 'type' is not valid.")
    return listing, position_side_of(params), kind, params.units("amount")


def _margin(call: Call, asked: tuple[Listing, str, int, int]) -> Json:
    listing, side, kind, units = asked
    call.exchange.usdm_market.move_margin(call.owner.account_id, listing.instrument, side, kind, units)
    return {
        "amount": units // SCALE if units % SCALE == 0 else units / SCALE,
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": kind,
    }


def _moves_parse(call: Call) -> tuple[str, int | None, int | None, int | None, int]:
    params, symbol = call.params, listing_of(call).instrument.symbol
    kind = params.integer("type")
    if kind not in (None, ADD, REDUCE):
        raise ApiError(-1130, "Data sent for parameter 'type' is not valid.")
    return symbol, kind, params.time_ms("startTime"), params.time_ms("endTime"), params.limit(500, 1000)


def _moves(call: Call, asked: tuple[str, int | None, int | None, int | None, int]) -> Json:
    symbol, kind, start, end, limit = asked
    rows = [
        move
        for move in call.exchange.usdm_market.settings.margin_moves
        if move.account_id == call.owner.account_id
        and move.symbol == symbol
        and kind in (None, move.kind)
        and (start is None or move.time_ms >= start)
        and (end is None or move.time_ms <= end)
    ]
    return [_move_json(move) for move in rows[-limit:]]


def _move_json(move: MarginMove) -> dict[str, Any]:
    return {
        "symbol": move.symbol,
        "type": move.kind,
        "deltaType": "USER_ADJUST",
        "amount": units_text(move.units),
        "asset": move.asset,
        "time": move.time_ms,
        "positionSide": move.position_side,
    }


def _endpoint(method: str, path: str, weight: int, parse: Any, run: Any) -> Endpoint:
    security = "USER_DATA" if method == "GET" else "TRADE"
    return Endpoint(method, f"/fapi/v1/{path}", fixed(weight), parse, run, security, market="usdm")


ENDPOINTS: list[Endpoint] = [
    _endpoint("POST", "leverage", 1, _leverage_parse, _leverage),
    _endpoint("POST", "marginType", 1, _type_parse, _margin_type),
    _endpoint("GET", "positionSide/dual", 30, nothing, _mode),
    _endpoint("POST", "positionSide/dual", 1, _flag("dualSidePosition"), _set_mode),
    _endpoint("GET", "multiAssetsMargin", 30, nothing, _multi_assets),
    _endpoint("POST", "multiAssetsMargin", 1, _flag("multiAssetsMargin"), _set_multi_assets),
    _endpoint("POST", "feeBurn", 1, _flag("feeBurn"), _set_fee_burn),
    _endpoint("POST", "positionMargin", 1, _margin_parse, _margin),
    _endpoint("GET", "positionMargin/history", 1, _moves_parse, _moves),
]
