"""USD-M user events read into the kernel's reports."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from trading.adapters.binance.parse import optional_price
from trading.adapters.binance.parse_usdm import ALGO_STATUS, TURNED
from trading.adapters.binance.words import is_conditional, usdm_time_in_force, usdm_type
from trading.domain.ports import OrderReport, TradeReport
from trading.domain.values import (
    OrderService,
    PositionSide,
    Side,
    decimal_of,
    exact_product,
    floor_to_step,
)

_QUOTE_STEP: Final = Decimal("1E-8")
# A liquidation's executions are told as calculated ones.
_EXECUTIONS: Final = frozenset({"TRADE", "CALCULATED"})


def parse_order_update(event: Mapping[str, Any]) -> OrderReport:
    """Read an `ORDER_TRADE_UPDATE`; an execution carries its one fill, with the result it realised."""
    o = event["o"]
    symbol, side, order_id, client_id = str(o["s"]), Side(o["S"]), int(o["i"]), str(o["c"])
    position_side = PositionSide(o.get("ps") or "BOTH")
    fills: tuple[TradeReport, ...] = ()
    if o["x"] in _EXECUTIONS and decimal_of(str(o["l"])) > 0:
        price, quantity = decimal_of(str(o["L"])), decimal_of(str(o["l"]))
        fills = (
            TradeReport(
                symbol=symbol,
                trade_id=int(o["t"]),
                venue_order_id=order_id,
                side=side,
                price=price,
                quantity=quantity,
                # The event leaves the amount out; the trade list has eight digits of it.
                quote_quantity=floor_to_step(exact_product(price, quantity), _QUOTE_STEP),
                commission=decimal_of(str(o.get("n") or 0)),
                commission_asset=str(o.get("N") or ""),
                maker=bool(o["m"]),
                time_ms=int(o["T"]),
                client_order_id=client_id,
                position_side=position_side,
                realized=decimal_of(str(o.get("rp") or 0)),
            ),
        )
    kind = usdm_type(str(o.get("ot") or o["o"]), str(o.get("f") or ""))
    executed = decimal_of(str(o["z"]))
    return OrderReport(
        symbol=symbol,
        client_order_id=client_id,
        venue_order_id=order_id,
        side=side,
        type=kind,
        time_in_force=usdm_time_in_force(o.get("f")),
        price=decimal_of(str(o["p"])),
        quantity=decimal_of(str(o["q"])),
        executed_quantity=executed,
        cumulative_quote=floor_to_step(
            exact_product(decimal_of(str(o.get("ap") or 0)), executed), _QUOTE_STEP
        ),
        status=str(o["X"]),
        time_ms=int(o["T"]),
        fills=fills,
        position_side=position_side,
        reduce_only=bool(o.get("R", False)),
        stop_price=optional_price(o.get("sp")),
        triggered=is_conditional(kind) and o["o"] != o.get("ot"),
    )


def parse_algo_update(event: Mapping[str, Any]) -> OrderReport:
    """Read an `ALGO_UPDATE`; what became of a triggered one is told by the updates of its order."""
    o = event["o"]
    status, became = str(o["X"]), str(o.get("ai") or "")
    return OrderReport(
        symbol=str(o["s"]),
        client_order_id=str(o["caid"]),
        venue_order_id=int(became) if became.isdigit() else 0,
        side=Side(o["S"]),
        type=usdm_type(str(o["o"]), None),
        time_in_force=usdm_time_in_force(o.get("f")),
        price=decimal_of(str(o.get("p") or 0)),
        quantity=decimal_of(str(o["q"])),
        executed_quantity=Decimal(0),
        cumulative_quote=Decimal(0),
        status=ALGO_STATUS.get(status, status),
        time_ms=int(event["T"]),
        service=OrderService.ALGO,
        position_side=PositionSide(o.get("ps") or "BOTH"),
        reduce_only=bool(o.get("R", False)),
        stop_price=optional_price(o.get("tp")),
        algo_id=int(o["aid"]),
        triggered=status in TURNED,
    )
