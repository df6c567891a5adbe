"""The ExecutionVenue port over Binance spot. Writes go out once; only reads may be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from trading.adapters.binance.parse import parse_balances, parse_order, parse_trade
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import BalanceReport, OrderReport, TradeReport, VenueOrder
from universe.adapters.binance import Priority, SpotClient

RECV_WINDOW_MS: Final = 2000
_DOES_NOT_EXIST: Final = -2013
_UNKNOWN_ORDER: Final = -2011
_TRADES_PER_CALL: Final = 1000
_ORDERS_PER_CALL: Final = 1000
_OFFSET_LIFE_S: Final = 30.0


class BinanceSpot:
    """One key on one spot account. One instance per thread."""

    def __init__(self, client: SpotClient, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._offset_ms = 0
        self._offset_at = float("-inf")

    def server_time_ms(self) -> int:
        """The venue's clock by our own and the measured offset, measured anew every 30 seconds."""
        if time.monotonic() - self._offset_at > _OFFSET_LIFE_S:
            self.measure_offset()
        return time.time_ns() // 1_000_000 + self._offset_ms

    def measure_offset(self) -> int:
        """Measure how far the venue's clock is ahead of ours, in milliseconds, at the middle of one call."""
        before = time.time_ns()
        server = int(self._read("/api/v3/time", {}, signed=False)["serverTime"])
        after = time.time_ns()
        self._offset_ms = server - (before + after) // 2_000_000
        self._offset_at = time.monotonic()
        return self._offset_ms

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Send once, signed with exactly this timestamp.

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown.
        """
        params: dict[str, Any] = {
            "symbol": order.symbol,
            "side": order.side.value,
            "type": order.type.value,
            "timeInForce": order.time_in_force.value if order.time_in_force else None,
            "quantity": order.quantity,
            "price": order.price,
            "newClientOrderId": order.client_order_id,
            "newOrderRespType": "FULL",
        }
        answer = self._client.signed_request(
            "POST", "/api/v3/order", params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms
        )
        try:
            report = parse_order(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise OutcomeUnknown(
                order.client_order_id, f"an answer that cannot be read: {error!r}"
            ) from error
        if report.symbol != order.symbol or report.client_order_id != order.client_order_id:
            raise OutcomeUnknown(
                order.client_order_id, f"an answer about {report.symbol} {report.client_order_id}"
            )
        return report

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Cancel; None when the venue does not know it as open. A lost answer is asked again: it is safe."""
        params = {"symbol": symbol, "origClientOrderId": client_order_id}
        last: OutcomeUnknown | None = None
        for attempt in range(2):
            try:
                return parse_order(self._signed("DELETE", "/api/v3/order", params))
            except VenueRejected as error:
                if error.code == _UNKNOWN_ORDER:
                    return None
                raise
            except OutcomeUnknown as error:
                last = error
                self._sleep(0.1 * (attempt + 1))
        assert last is not None
        raise VenueUnavailable(None, f"the cancel was not answered: {last.message}") from last

    def query(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Look an order up by our id; None only for "does not exist"."""
        try:
            return parse_order(
                self._read("/api/v3/order", {"symbol": symbol, "origClientOrderId": client_order_id})
            )
        except VenueRejected as error:
            if error.code == _DOES_NOT_EXIST:
                return None
            raise

    def query_by_id(self, symbol: str, venue_order_id: int) -> OrderReport | None:
        """Look an order up by the venue's id; None only for "does not exist"."""
        try:
            return parse_order(self._read("/api/v3/order", {"symbol": symbol, "orderId": venue_order_id}))
        except VenueRejected as error:
            if error.code == _DOES_NOT_EXIST:
                return None
            raise

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
        """Own trades in ascending id: every page from an id, or one page from a time."""
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
        answer = self._read("/sapi/v1/account/apiRestrictions", {})
        return {name: value for name, value in answer.items() if isinstance(value, bool)}

    def commission_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker commission of a symbol, as fractions."""
        answer = self._read("/api/v3/account/commission", {"symbol": symbol})["standardCommission"]
        return Decimal(answer["maker"]), Decimal(answer["taker"])

    def _signed(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        return self._client.signed_request(
            method,
            path,
            params,
            timestamp_ms=self.server_time_ms(),
            recv_window_ms=RECV_WINDOW_MS,
            priority=Priority.EXIT if method == "DELETE" else Priority.READ,
        )

    def _read(self, path: str, params: Mapping[str, Any], *, signed: bool = True) -> Any:
        for attempt in range(3):
            try:
                if signed:
                    return self._signed("GET", path, params)
                return self._client.public_request(path, params)
            except VenueUnavailable as error:
                if attempt == 2 or (error.retry_after_s or 0) > 1:
                    raise
                self._sleep(0.1 * 2**attempt)
            except VenueRejected as error:
                if attempt == 2 or error.code != -1021:
                    raise
                self._offset_at = float("-inf")  # our idea of the venue's clock was wrong
        raise AssertionError("the loop returns or raises")
