"""Conditional USD-M orders."""

from __future__ import annotations

import re
from typing import Any

from testnet.api.call import Call, Endpoint, Json, Weight, fixed
from testnet.api.params import Params
from testnet.assigned_ids import assigned_id
from testnet.errors import ApiError, mandatory, no_such_order, not_required, unknown_order
from testnet.usdm.algo import (
    CONTRACT_PRICE,
    LIMIT_TYPES,
    STOP_MARKET,
    TAKE_PROFIT_MARKET,
    TRAILING,
    TYPES,
    WORKING_TYPES,
    AlgoOrder,
)
from testnet.usdm.api.history import Range, read_range
from testnet.usdm.api.order_params import (
    client_id,
    good_till_of,
    listing_of,
    optional_listing,
    position_side_of,
    price_match_of,
    reduce_only_of,
    side_of,
    stp_mode_of,
    symbol_of,
    time_in_force_of,
)
from testnet.usdm.api.orders import ALL_CANCELED
from testnet.usdm.filters import check_price, check_quantity
from testnet.usdm.order_json import algo_json

_RATE = re.compile(r"(?:10(?:\.0+)?|[0-9](?:\.[0-9]{1,2})?)", re.ASCII)


def _place_parse(call: Call) -> AlgoOrder:
    params = call.params
    kind_of_algo = params.text("algoType")
    if kind_of_algo != "CONDITIONAL":
        raise ApiError(-1130, "Data sent for parameter 'algoType' is not valid.")
    listing = listing_of(call)
    instrument = listing.instrument
    side = side_of(params)
    kind = params.choice("type", TYPES, -1116, "Invalid orderType.")
    position_side = position_side_of(params)
    is_limit = kind in LIMIT_TYPES
    closes = params.boolean("closePosition", default=False)
    _check_close(params, kind, closes=closes)
    price_match = price_match_of(params) if is_limit else "NONE"
    time_in_force = time_in_force_of(params) if params.has("timeInForce") else "GTC"
    price = params.units("price")
    if is_limit and price_match == "NONE" and not params.has("price"):
        raise mandatory("price")
    trigger, activate, callback = _levels(params, kind)
    now = call.exchange.now_ms()
    algo = AlgoOrder(
        algo_id=0,
        account_id="",
        instrument=instrument,
        client_algo_id=client_id(params, "clientAlgoId") or "",
        side=side,
        position_side=position_side,
        type=kind,
        time_in_force=time_in_force,
        quantity=params.units("quantity"),
        price=price,
        trigger_price=trigger,
        working_type=_working_type(params),
        created_ms=now,
        updated_ms=now,
        close_position=closes,
        reduce_only=reduce_only_of(params, position_side) or (closes and position_side == "BOTH"),
        price_protect=params.boolean("priceProtect", default=False),
        price_match=price_match,
        stp_mode=stp_mode_of(params),
        callback=callback,
        activate_price=activate,
        good_till_ms=good_till_of(call, params, time_in_force),
    )
    _check_filters(algo)
    return algo


def _check_close(params: Params, kind: str, *, closes: bool) -> None:
    if not closes:
        if not params.has("quantity"):
            raise mandatory("quantity")
        return
    if kind not in (STOP_MARKET, TAKE_PROFIT_MARKET):
        raise ApiError(-4136, f"Target strategy invalid for orderType '{kind}',closePosition 'true'.")
    if params.has("quantity"):
        raise ApiError(-4137, "Quantity must be zero with closePosition equals true.")
    if params.has("reduceOnly") and not params.boolean("reduceOnly", default=True):
        raise ApiError(-4138, "Reduce only must be true with closePosition equals true.")


def _working_type(params: Params) -> str:
    if not params.has("workingType"):
        return CONTRACT_PRICE
    return params.choice("workingType", WORKING_TYPES, -4031, "Invalid parameter working type.")


def _levels(params: Params, kind: str) -> tuple[int, int, int]:
    """Trigger price, activation price (units) and callback (parts per 10,000)."""
    if kind != TRAILING:
        if not params.has("triggerPrice"):
            raise mandatory("triggerPrice")
        for name in ("callbackRate", "activatePrice"):
            if params.has(name):
                raise not_required(name)
        return params.units("triggerPrice"), 0, 0
    if params.has("triggerPrice"):
        raise not_required("triggerPrice")
    rate = params.text("callbackRate")
    if not _RATE.fullmatch(rate):
        raise ApiError(-2007, "Invalid callback rate.")
    whole, _, fraction = rate.partition(".")
    callback = int(whole) * 100 + int(fraction.ljust(2, "0")[:2])
    if not 10 <= callback <= 1000:
        raise ApiError(-2007, "Invalid callback rate.")
    return 0, params.units("activatePrice"), callback


def _check_filters(algo: AlgoOrder) -> None:
    instrument = algo.instrument
    if not algo.close_position:
        check_quantity(algo.quantity, instrument, is_market=algo.type not in LIMIT_TYPES)
    if algo.type in LIMIT_TYPES and algo.price_match == "NONE":
        check_price(algo.price, instrument)
    for price in (algo.trigger_price, algo.activate_price):
        if price and price % instrument.tick_size:
            raise ApiError(-4014, "Price not increased by tick size.")
    if algo.type != TRAILING and not algo.trigger_price:
        raise ApiError(-4006, "Stop price less than zero.")
    if algo.trigger_price > instrument.max_price:
        raise ApiError(-4007, "Stop price greater than max price.")


def _place(call: Call, algo: AlgoOrder) -> Json:
    algos = call.exchange.usdm_market.algos
    account_id, now = call.owner.account_id, call.venue.server_ms()
    call.venue.limits.check_order(account_id, now, "usdm")
    algo.account_id = account_id
    algo.client_algo_id = algo.client_algo_id or assigned_id("algo", algos.algo_id + 1)
    algo.created_ms = algo.updated_ms = call.exchange.now_ms()
    algos.check(algo)
    algos.add(algo)
    call.venue.limits.count_order(account_id, now, "usdm")
    return algo_json(algo, queried=False)


def _reference(call: Call) -> tuple[int | None, str | None]:
    algo_id, name = call.params.integer("algoId"), client_id(call.params, "clientAlgoId")
    if algo_id is None and name is None:
        raise ApiError(-1102, "Param 'algoid' or 'clientalgoid' must be sent, but both were empty/null!")
    return algo_id, name


def _find(call: Call, reference: tuple[int | None, str | None]) -> AlgoOrder | None:
    algo_id, name = reference
    shelf = call.exchange.usdm_market.algos.shelf(call.owner.account_id)
    if algo_id is not None:
        return shelf.by_id.get(algo_id)
    return shelf.latest_by_client_id.get(name or "")


def _query(call: Call, reference: tuple[int | None, str | None]) -> Json:
    algo = _find(call, reference)
    if algo is None:
        raise no_such_order()
    return algo_json(algo)


def _cancel(call: Call, reference: tuple[int | None, str | None]) -> Json:
    algo = _find(call, reference)
    if algo is None:
        raise unknown_order()
    call.exchange.usdm_market.algos.cancel(algo)
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "code": "200",
        "msg": "success",
    }


def _cancel_all(call: Call, symbol: str) -> Json:
    algos = call.exchange.usdm_market.algos
    for algo in algos.open_orders(call.owner.account_id, symbol):
        algos.cancel(algo)
    return ALL_CANCELED


def _open_parse(call: Call) -> tuple[str | None, int | None]:
    listing = optional_listing(call)
    symbol = listing.instrument.symbol if listing is not None else None
    return symbol, call.params.integer("algoId")


def _open(call: Call, asked: tuple[str | None, int | None]) -> Json:
    symbol, algo_id = asked
    rows = call.exchange.usdm_market.algos.open_orders(call.owner.account_id, symbol)
    return [algo_json(row) for row in rows if algo_id in (None, row.algo_id)]


def _all_parse(call: Call) -> Range:
    return read_range(call, first="algoId")


def _all(call: Call, asked: Range) -> Json:
    rows = [
        row
        for row in call.exchange.usdm_market.algos.shelf(call.owner.account_id).by_id.values()
        if row.instrument.symbol == asked.symbol
        and (asked.first_id is None or row.algo_id >= asked.first_id)
        and (asked.start is None or row.created_ms >= asked.start)
        and (asked.end is None or row.created_ms <= asked.end)
    ]
    first = asked.first_id is not None or asked.start is not None
    return [algo_json(row) for row in (rows[: asked.limit] if first else rows[-asked.limit :])]


def _endpoint(
    method: str, path: str, weight: Weight, parse: Any, run: Any, ws_method: str | None = None
) -> Endpoint:
    return Endpoint(
        method,
        f"/fapi/v1/{path}",
        weight,
        parse,
        run,
        "USER_DATA" if method == "GET" else "TRADE",
        ws_method,
        places_order=method == "POST",
        market="usdm",
    )


ENDPOINTS: list[Endpoint] = [
    _endpoint("POST", "algoOrder", fixed(0), _place_parse, _place, "algoOrder.place"),
    _endpoint("DELETE", "algoOrder", fixed(1), _reference, _cancel, "algoOrder.cancel"),
    _endpoint("GET", "algoOrder", fixed(1), _reference, _query),
    _endpoint("DELETE", "algoOpenOrders", fixed(1), symbol_of, _cancel_all),
    _endpoint(
        "GET",
        "openAlgoOrders",
        lambda params: 1 if params.has("symbol") else 40,
        _open_parse,
        _open,
    ),
    _endpoint("GET", "allAlgoOrders", fixed(5), _all_parse, _all),
]
