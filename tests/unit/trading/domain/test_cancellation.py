"""Which open orders each level takes away, on both markets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trading.domain.cancellation import is_protective, only_reduces, orders_to_cancel
from trading.domain.ports import OrderReport, PositionReport
from trading.domain.values import Level, Market, OrderService, PositionSide, Side


def order(name: str, side: str = "BUY", **changes: Any) -> OrderReport:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "client_order_id": name,
        "venue_order_id": changes.pop("number", 1),
        "side": Side(side),
        "type": "LIMIT",
        "time_in_force": "GTC",
        "price": Decimal(100),
        "quantity": Decimal(1),
        "executed_quantity": Decimal(0),
        "cumulative_quote": Decimal(0),
        "status": "NEW",
        "time_ms": 0,
    }
    return OrderReport(**{**fields, **changes})


def position(quantity: str, side: PositionSide = PositionSide.BOTH) -> PositionReport:
    number = Decimal(quantity)
    return PositionReport(
        "BTCUSDT", side, number, Decimal(100), Decimal(100), Decimal(0), None, Decimal(0), False
    )


def names(reports: list[OrderReport]) -> set[str]:
    return {report.client_order_id for report in reports}


SPOT_BOOK = [
    order("entry"),
    order("exit", "SELL"),
    order("stop", "SELL", type="STOP_LOSS_LIMIT", stop_price=Decimal(90), venue_list_id=7),
    order("target", "SELL", type="LIMIT_MAKER", venue_list_id=7),
    order("breakout", "BUY", type="STOP_LOSS_LIMIT", stop_price=Decimal(110)),
    order("planned target", "SELL"),
]


@pytest.mark.parametrize(
    ("level", "include_stops", "gone"),
    [
        (Level.ACTIVE, False, set()),
        (Level.REDUCING, False, {"entry", "breakout"}),
        (Level.HALT_NEW, False, set()),
        (Level.CANCEL, False, {"entry", "exit", "breakout"}),
        (Level.CANCEL, True, {o.client_order_id for o in SPOT_BOOK}),
        # The flattener takes protection back itself, just before it sells what that holds.
        (Level.FLATTEN, False, {"entry", "exit", "breakout"}),
        (Level.FLATTEN, True, {o.client_order_id for o in SPOT_BOOK}),
    ],
)
def test_on_spot(level: Level, include_stops: bool, gone: set[str]) -> None:
    taken = orders_to_cancel(
        level,
        SPOT_BOOK,
        market=Market.spot,
        include_stops=include_stops,
        protective_ids={"planned target"},
    )
    assert names(taken) == gone


ALGO = {"service": OrderService.ALGO, "venue_order_id": 0, "type": "STOP_MARKET"}
FUTURES_BOOK = [
    order("buy"),
    order("sell", "SELL"),
    order("reduce-only sell", "SELL", reduce_only=True),
    order("stop of a long", "SELL", reduce_only=True, stop_price=Decimal(90), **ALGO),
    order("close-position stop", "SELL", quantity=Decimal(0), stop_price=Decimal(90), **ALGO),
    order("conditional entry", "SELL", stop_price=Decimal(95), **ALGO),
]


def test_cancel_on_usdm_keeps_conditional_orders_that_only_reduce() -> None:
    taken = names(orders_to_cancel(Level.CANCEL, FUTURES_BOOK, market=Market.usdm))
    assert taken == {"buy", "sell", "reduce-only sell", "conditional entry"}


@pytest.mark.parametrize(
    ("held", "gone"),
    [
        ("1", {"buy", "sell", "reduce-only sell", "conditional entry"}),
        # Nothing is held: what would protect it is in the way of nothing but an empty list.
        ("0", {o.client_order_id for o in FUTURES_BOOK}),
    ],
)
def test_flatten_on_usdm_keeps_what_protects_a_position_until_it_is_closed(held: str, gone: set[str]) -> None:
    taken = orders_to_cancel(
        Level.FLATTEN, FUTURES_BOOK, market=Market.usdm, positions=[position(held)] if held != "0" else []
    )
    assert names(taken) == gone


@pytest.mark.parametrize(
    ("held", "gone"),
    [
        # Long 1: one plain sell takes it to zero, the conditional entry could then open a short.
        ("1", {"buy", "conditional entry"}),
        ("2", {"buy"}),
        ("0.5", {"buy", "sell", "conditional entry"}),
        # Short: the buys are the way out, and the sells add risk.
        ("-1", {"sell", "conditional entry"}),
        ("0", {"buy", "sell", "conditional entry"}),
    ],
)
def test_what_adds_risk_on_usdm_depends_on_the_position(held: str, gone: set[str]) -> None:
    taken = orders_to_cancel(
        Level.REDUCING, FUTURES_BOOK, market=Market.usdm, positions=[position(held)] if held != "0" else []
    )
    assert names(taken) == gone


def test_what_is_filled_already_does_not_count_against_the_way_out() -> None:
    half = order("half filled", "SELL", quantity=Decimal(2), executed_quantity=Decimal(1))
    kept = orders_to_cancel(Level.REDUCING, [half], market=Market.usdm, positions=[position("1")])
    assert kept == []


def test_the_oldest_orders_keep_their_place_on_the_way_out() -> None:
    later = order("later", "SELL", time_ms=9, number=1)
    earlier = order("earlier", "SELL", time_ms=1, number=2)
    taken = orders_to_cancel(
        Level.REDUCING, [later, earlier], market=Market.usdm, positions=[position("1.5")]
    )
    assert names(taken) == {"later"}


@pytest.mark.parametrize(
    ("side", "of", "reduces"),
    [
        ("SELL", PositionSide.LONG, True),
        ("BUY", PositionSide.LONG, False),
        ("BUY", PositionSide.SHORT, True),
        ("SELL", PositionSide.SHORT, False),
    ],
)
def test_in_hedge_mode_the_side_of_the_position_says_which_way_is_out(
    side: str, of: PositionSide, reduces: bool
) -> None:
    report = order("x", side, position_side=of)
    assert only_reduces(report, Market.usdm) is reduces
    taken = orders_to_cancel(Level.REDUCING, [report], market=Market.usdm, positions=[position("5", of)])
    assert (taken == []) is reduces


def test_a_plain_limit_protects_nothing_and_a_conditional_entry_neither() -> None:
    assert not is_protective(order("exit", "SELL"), Market.spot)
    assert not is_protective(order("entry", "BUY", stop_price=Decimal(1), **ALGO), Market.usdm)
