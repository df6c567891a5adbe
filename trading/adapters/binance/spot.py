"""The OrderListVenue port over Binance spot. Writes go out once; only reads may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from trading.adapters.binance.parse import (
    parse_amended,
    parse_balances,
    parse_order,
    parse_order_list,
    parse_trade,
)
from trading.adapters.binance.signed import SignedCalls, answer_about
from trading.adapters.binance.spot_requests import list_request, order_request
from trading.domain.errors import OutcomeUnknown, VenueUnavailable
from trading.domain.ports import (
    BalanceReport,
    OrderListReport,
    OrderReport,
    TradeReport,
    VenueOrder,
    VenueOrderList,
)

_ORDER: Final = "/api/v3/order"
_LIST: Final = "/api/v3/orderList"
_TRADES_PER_CALL: Final = 1000
_ORDERS_PER_CALL: Final = 1000


class BinanceSpot(SignedCalls):
    """One key on one spot account. One instance per thread."""

    TIME_PATH: ClassVar[str] = "/api/v3/time"

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Send once, signed with exactly this timestamp.

        One that replaces another is placed only if the other was cancelled, and that only if it had not traded.

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown.
        """
        path, params = (
            _ORDER,
            order_request(order)
            | {
                "newClientOrderId": order.client_order_id,
                "newOrderRespType": "FULL",
            },
        )
        if order.replaces is not None:
            path = f"{_ORDER}/cancelReplace"
            params |= {
                "cancelReplaceMode": "STOP_ON_FAILURE",
                "cancelRestrictions": "ONLY_NEW",
                "cancelOrigClientOrderId": order.replaces,
            }
        answer = self._write_once(
            "POST", path, params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms
        )
        if order.replaces is not None:
            answer = answer.get("newOrderResponse") if isinstance(answer, dict) else None
        return answer_about(parse_order, answer, order.symbol, order.client_order_id)

    def place_list(
        self, orders: VenueOrderList, *, timestamp_ms: int, recv_window_ms: int
    ) -> OrderListReport:
        """Send a list once; the venue takes or refuses it as a whole.

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown : under the list's client id.
        ValueError : the orders do not make such a list; nothing was sent.
        """
        path, params = list_request(orders)
        ids = [leg.client_order_id for leg in orders.legs]
        answer = self._write_once(
            "POST", path, params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms
        )
        try:
            report = parse_order_list(answer, ids)
        except (KeyError, TypeError, ValueError) as error:
            raise OutcomeUnknown(
                orders.client_list_id, f"an answer that cannot be read: {error!r}"
            ) from error
        if (
            report.client_list_id != orders.client_list_id
            or [leg.client_order_id for leg in report.legs] != ids
        ):
            raise OutcomeUnknown(orders.client_list_id, f"an answer about {report.client_list_id}")
        return report

    def amend(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Make an open order as small as `order.quantity` says; it keeps its place in the queue and its id.

        Sent once. The venue refuses anything but a smaller quantity (-2038).

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown.
        """
        params = {
            "symbol": order.symbol,
            "origClientOrderId": order.client_order_id,
            # Without it the venue would give the order an id of its own making.
            "newClientOrderId": order.client_order_id,
            "newQty": order.quantity,
        }
        answer = self._write_once(
            "PUT",
            f"{_ORDER}/amend/keepPriority",
            params,
            timestamp_ms=timestamp_ms,
            recv_window_ms=recv_window_ms,
        )
        return answer_about(parse_amended, answer, order.symbol, order.client_order_id)

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Cancel; None when the venue does not know it as open. A lost answer is asked again: it is safe.

        The venue cancels the whole list an order belongs to.
        """
        answer = self._canceled(_ORDER, {"symbol": symbol, "origClientOrderId": client_order_id})
        if answer is None:
            return None
        if "orderReports" not in answer:
            return parse_order(answer)
        legs = parse_order_list(answer).legs
        mine = next((leg for leg in legs if leg.client_order_id == client_order_id), None)
        if mine is None:
            raise VenueUnavailable(None, f"the cancel of {client_order_id} answered about other orders")
        return mine

    def cancel_list(self, symbol: str, *, client_list_id: str) -> OrderListReport | None:
        """Cancel every open order of a list; None when the venue does not know it as open. Safe to repeat."""
        answer = self._canceled(_LIST, {"symbol": symbol, "listClientOrderId": client_list_id})
        return parse_order_list(answer) if answer is not None else None

    def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel every open order of a symbol, those of lists included, and tell what became of each."""
        answer = self._canceled("/api/v3/openOrders", {"symbol": symbol}) or []
        # A list is told as one entry that carries its orders.
        return [parse_order(order) for entry in answer for order in entry.get("orderReports", [entry])]

    def query(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Look an order up by our id; None only for "does not exist"."""
        answer = self._found(_ORDER, {"symbol": symbol, "origClientOrderId": client_order_id})
        return parse_order(answer) if answer is not None else None

    def query_by_id(self, symbol: str, venue_order_id: int) -> OrderReport | None:
        """Look an order up by the venue's id; None only for "does not exist"."""
        answer = self._found(_ORDER, {"symbol": symbol, "orderId": venue_order_id})
        return parse_order(answer) if answer is not None else None

    def query_list(self, *, client_list_id: str) -> OrderListReport | None:
        """Look a list up with each of its orders; None only for "does not exist".

        Raises
        ------
        VenueUnavailable : also when the venue knows the list and not one of its orders.
        """
        answer = self._found(_LIST, {"origClientOrderId": client_list_id})
        if answer is None:
            return None
        legs = []
        for entry in answer["orders"]:
            leg = self.query_by_id(str(entry["symbol"]), int(entry["orderId"]))
            if leg is None:
                raise VenueUnavailable(None, f"list {client_list_id} without its order {entry['orderId']}")
            legs.append(leg)
        return OrderListReport(str(answer["listClientOrderId"]), int(answer["orderListId"]), tuple(legs))

    def open_orders(self, symbol: str | None) -> list[OrderReport]:
        """Open orders of a symbol, or of all."""
        return [parse_order(entry) for entry in self._read("/api/v3/openOrders", {"symbol": symbol})]

    def orders_since(self, symbol: str, *, from_id: int | None) -> list[OrderReport]:
        """Orders in any state in ascending id: every page from an id, or the newest page."""
        found: list[OrderReport] = []
        while True:
            params = {"symbol": symbol, "orderId": from_id, "limit": _ORDERS_PER_CALL}
            page = [parse_order(entry) for entry in self._read("/api/v3/allOrders", params)]
            found.extend(page)
            if from_id is None or len(page) < _ORDERS_PER_CALL:
                return sorted(found, key=lambda order: order.venue_order_id)
            from_id = page[-1].venue_order_id + 1

    def trades(self, symbol: str, *, from_id: int | None, start_ms: int | None) -> list[TradeReport]:
        """Own trades in ascending id: every page from an id, or from a time on."""
        found: list[TradeReport] = []
        while True:
            page = [
                parse_trade(entry)
                for entry in self._read(
                    "/api/v3/myTrades",
                    {
                        "symbol": symbol,
                        "fromId": from_id,
                        "startTime": start_ms if from_id is None else None,
                        "limit": _TRADES_PER_CALL,
                    },
                )
            ]
            found.extend(page)
            if len(page) < _TRADES_PER_CALL:
                return sorted(found, key=lambda trade: trade.trade_id)
            from_id = page[-1].trade_id + 1

    def balances(self) -> list[BalanceReport]:
        """Every non-zero asset."""
        return parse_balances(self._read("/api/v3/account", {"omitZeroBalances": True}))

    def key_permissions(self) -> Mapping[str, bool] | None:
        """What the key may do, by the venue's own flags."""
        answer: Mapping[str, Any] = self._read("/sapi/v1/account/apiRestrictions", {})
        return {name: value for name, value in answer.items() if isinstance(value, bool)}

    def identity(self) -> str:
        """The account the key is of: its `uid`, which sub-accounts have of their own; empty where none is told."""
        uid = self._read("/api/v3/account", {"omitZeroBalances": True}).get("uid")
        return f"uid {uid}" if uid else ""

    def commission_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker commission of a symbol, as fractions."""
        answer = self._read("/api/v3/account/commission", {"symbol": symbol})["standardCommission"]
        return Decimal(answer["maker"]), Decimal(answer["taker"])
