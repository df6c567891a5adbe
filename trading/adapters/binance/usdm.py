"""The FuturesVenue port over Binance USD-M. Writes go out once; only reads may be repeated.

The venue keeps conditional orders in a service of their own until they trigger; then the order they become stands
among the ordinary ones. Look-ups and cancels reach both, in an order that loses none on its way from one to the other.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from trading.adapters.binance import parse_usdm as parse
from trading.adapters.binance.signed import SignedCalls, answer_about
from trading.adapters.binance.spot import BinanceSpot
from trading.adapters.binance.usdm_requests import algo_request, order_request
from trading.domain.errors import VenueRejected, VenueUnavailable
from trading.domain.ports import (
    BalanceReport,
    FuturesMode,
    IncomeReport,
    OrderReport,
    PositionReport,
    TradeReport,
    VenueOrder,
)
from universe.adapters.binance import SpotClient

_ORDER: Final = "/fapi/v1/order"
_ALGO: Final = "/fapi/v1/algoOrder"
_ROWS_PER_CALL: Final = 1000
_DAY_MS: Final = 86_400_000
_WINDOW_MS: Final = 7 * _DAY_MS
# How far back the venue keeps trades and income; asking for more would only cost calls.
_TRADES_KEPT_MS: Final = 184 * _DAY_MS
_INCOME_KEPT_MS: Final = 92 * _DAY_MS
_NO_NEED_TO_CHANGE: Final = frozenset({-4046, -4059})


class BinanceUsdm(SignedCalls):
    """One key on one USD-M account. One instance per thread."""

    TIME_PATH: ClassVar[str] = "/fapi/v1/time"

    def __init__(
        self,
        client: SpotClient,
        *,
        wallet: SpotClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`wallet` reaches the host that knows a key's permissions, with the same key and a budget of its own."""
        super().__init__(client, sleep=sleep)
        self._wallet = wallet

    # -- orders ----------------------------------------------------------------------------

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Send once, signed with exactly this timestamp. What was executed at once is told without its fills.

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown.
        """
        if order.type.is_conditional:
            path, params, read = _ALGO, algo_request(order), parse.parse_algo
        else:
            path, params, read = _ORDER, order_request(order), parse.parse_order
        answer = self._write_once(
            "POST", path, params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms
        )
        return answer_about(read, answer, order.symbol, order.client_order_id)

    def amend(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Give an open limit order the quantity and price of `order`; it loses its place in the queue.

        Sent once. A quantity that is executed already cancels the order.

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown.
        """
        params = {
            "symbol": order.symbol,
            "side": order.side.value,
            "origClientOrderId": order.client_order_id,
            "quantity": order.quantity,
            "price": order.price,
        }
        answer = self._write_once(
            "PUT", _ORDER, params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms
        )
        return answer_about(parse.parse_order, answer, order.symbol, order.client_order_id)

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Cancel in either service; None when neither knows it as open. Safe to repeat."""
        answer = self._canceled(_ORDER, {"symbol": symbol, "origClientOrderId": client_order_id})
        if answer is not None:
            return parse.parse_order(answer)
        canceled = self._canceled(_ALGO, {"clientAlgoId": client_order_id})
        entry = self._algo(symbol, {"clientAlgoId": client_order_id})
        if entry is None:
            return None
        algo = parse.parse_algo(entry)
        if canceled is not None:
            return algo
        if entry["algoStatus"] in ("NEW", "TRIGGERING"):
            # Not open to the cancel and yet waiting: it is about to become an order.
            raise VenueUnavailable(None, f"{client_order_id} is triggering")
        if algo.venue_order_id:
            # It became an order between the two cancels.
            answer = self._canceled(_ORDER, {"symbol": symbol, "orderId": algo.venue_order_id})
            return parse.turned(algo, parse.parse_order(answer)) if answer is not None else None
        return None

    def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel every open order of a symbol in both services; the venue tells of none by name."""
        # Conditional ones first: what triggers before that is among the ordinary ones by then.
        self._canceled("/fapi/v1/algoOpenOrders", {"symbol": symbol})
        self._canceled("/fapi/v1/allOpenOrders", {"symbol": symbol})
        return []

    def query(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Look an order up in both services; None only when both say "does not exist"."""
        answer = self._found(_ORDER, {"symbol": symbol, "origClientOrderId": client_order_id})
        if answer is not None:
            return parse.parse_order(answer)
        entry = self._algo(symbol, {"clientAlgoId": client_order_id})
        return self._followed(entry) if entry is not None else None

    def query_by_id(self, symbol: str, venue_order_id: int) -> OrderReport | None:
        """Look an ordinary order up by the venue's id; conditional ones have ids of another kind."""
        answer = self._found(_ORDER, {"symbol": symbol, "orderId": venue_order_id})
        return parse.parse_order(answer) if answer is not None else None

    def query_algo(self, symbol: str, algo_id: int) -> OrderReport | None:
        """Look a conditional order, or the order it became, up by the conditional service's id."""
        entry = self._algo(symbol, {"algoId": algo_id})
        return self._followed(entry) if entry is not None else None

    def open_orders(self, symbol: str | None) -> list[OrderReport]:
        """Open orders of both services.

        The conditional ones are read first: one that triggers in between is then in both answers, never in none.
        """
        waiting = [
            parse.parse_algo(entry) for entry in self._read("/fapi/v1/openAlgoOrders", {"symbol": symbol})
        ]
        working = [
            parse.parse_order(entry) for entry in self._read("/fapi/v1/openOrders", {"symbol": symbol})
        ]
        known = {(order.symbol, order.client_order_id) for order in working}
        return [*working, *(algo for algo in waiting if (algo.symbol, algo.client_order_id) not in known)]

    def _algo(self, symbol: str, reference: Mapping[str, Any]) -> Mapping[str, Any] | None:
        # The service takes no symbol; an id of another symbol is not the one asked for.
        entry: Mapping[str, Any] | None = self._found(_ALGO, reference)
        return entry if entry is not None and entry["symbol"] == symbol else None

    def _followed(self, entry: Mapping[str, Any]) -> OrderReport:
        """A conditional order, or the order it became where it has triggered."""
        algo = parse.parse_algo(entry)
        if not algo.triggered:
            return algo
        answer = None
        if algo.venue_order_id:
            answer = self._found(_ORDER, {"symbol": algo.symbol, "orderId": algo.venue_order_id})
        if answer is None:
            answer = self._found(_ORDER, {"symbol": algo.symbol, "origClientOrderId": algo.client_order_id})
        if answer is None:
            raise VenueUnavailable(None, f"{algo.client_order_id} has triggered and its order is not shown")
        return parse.turned(algo, parse.parse_order(answer))

    # -- what happened ---------------------------------------------------------------------

    def orders_since(self, symbol: str, *, from_id: int | None) -> list[OrderReport]:
        """Orders in any state in ascending id: every page from an id, or the newest page.

        Conditional orders have ids of another kind; they are here once they have triggered.
        """
        found: list[OrderReport] = []
        while True:
            params = {"symbol": symbol, "orderId": from_id, "limit": _ROWS_PER_CALL}
            page = [parse.parse_order(entry) for entry in self._read("/fapi/v1/allOrders", params)]
            found.extend(page)
            if from_id is None or len(page) < _ROWS_PER_CALL:
                return sorted(found, key=lambda order: order.venue_order_id)
            from_id = page[-1].venue_order_id + 1

    def trades(self, symbol: str, *, from_id: int | None, start_ms: int | None) -> list[TradeReport]:
        """Own trades in ascending id: every page from an id, or from a time on."""
        found: dict[int, TradeReport] = {}
        if from_id is None and start_ms is not None:
            end = self.server_time_ms()
            start = max(start_ms, end - _TRADES_KEPT_MS)
            while start <= end:
                # The venue answers at most seven days; a longer span would silently be cut.
                page = self._trades(symbol, {"startTime": start, "endTime": min(start + _WINDOW_MS - 1, end)})
                found.update((trade.trade_id, trade) for trade in page)
                if len(page) == _ROWS_PER_CALL:
                    from_id = page[-1].trade_id + 1
                    break
                start += _WINDOW_MS
            if from_id is None:
                return [found[number] for number in sorted(found)]
        while True:
            page = self._trades(symbol, {"fromId": from_id})
            found.update((trade.trade_id, trade) for trade in page)
            if len(page) < _ROWS_PER_CALL:
                return [found[number] for number in sorted(found)]
            from_id = page[-1].trade_id + 1

    def _trades(self, symbol: str, span: Mapping[str, Any]) -> list[TradeReport]:
        rows = self._read("/fapi/v1/userTrades", {"symbol": symbol, "limit": _ROWS_PER_CALL, **span})
        return sorted((parse.parse_trade(row) for row in rows), key=lambda trade: trade.trade_id)

    def income(self, *, start_ms: int, end_ms: int | None = None) -> list[IncomeReport]:
        """Every change of the wallet in ascending time, all pages."""
        # A fixed end keeps the pages where they are while new rows arrive behind it.
        end = end_ms if end_ms is not None else self.server_time_ms()
        start = max(start_ms, end - _INCOME_KEPT_MS)
        rows: list[IncomeReport] = []
        for page in itertools.count(1):
            entries = self._read(
                "/fapi/v1/income",
                {"startTime": start, "endTime": end, "page": page, "limit": _ROWS_PER_CALL},
            )
            rows.extend(parse.parse_income(entry) for entry in entries)
            if len(entries) < _ROWS_PER_CALL:
                break
        return sorted(rows, key=lambda row: row.time_ms)

    # -- the account -----------------------------------------------------------------------

    def balances(self) -> list[BalanceReport]:
        """Every asset with a wallet balance or margin available."""
        reports = [parse.parse_balance(entry) for entry in self._read("/fapi/v3/balance", {})]
        return [report for report in reports if report.free or report.available]

    def positions(self, symbol: str | None) -> list[PositionReport]:
        """Positions that are not flat."""
        rows = self._read("/fapi/v3/positionRisk", {"symbol": symbol})
        held = [row for row in rows if Decimal(str(row["positionAmt"])) != 0]
        isolated = self._margin_types(symbol) if held else {}
        return [parse.parse_position(row, isolated=isolated.get(row["symbol"], False)) for row in held]

    def mode(self) -> FuturesMode:
        """Position mode, and leverage, margin type and brackets of every symbol."""
        symbols = self._read("/fapi/v1/symbolConfig", {})
        return FuturesMode(
            hedge=bool(self._read("/fapi/v1/positionSide/dual", {})["dualSidePosition"]),
            multi_assets=bool(self._read("/fapi/v1/multiAssetsMargin", {})["multiAssetsMargin"]),
            leverage={str(row["symbol"]): int(row["leverage"]) for row in symbols},
            isolated={str(row["symbol"]): row["marginType"] == "ISOLATED" for row in symbols},
            brackets={
                str(row["symbol"]): parse.parse_brackets(row)
                for row in self._read("/fapi/v1/leverageBracket", {})
            },
        )

    def _margin_types(self, symbol: str | None) -> dict[str, bool]:
        rows = self._read("/fapi/v1/symbolConfig", {"symbol": symbol})
        return {str(row["symbol"]): row["marginType"] == "ISOLATED" for row in rows}

    def countdown_cancel(self, symbol: str, *, countdown_ms: int) -> None:
        """Arm the venue's dead-man for a symbol, or disarm it with 0. Safe to repeat."""
        self._repeatable(
            "POST", "/fapi/v1/countdownCancelAll", {"symbol": symbol, "countdownTime": countdown_ms}
        )

    def set_leverage(self, symbol: str, leverage: int) -> int:
        """Set the leverage of a symbol; returns what the venue set. Safe to repeat."""
        answer = self._repeatable("POST", "/fapi/v1/leverage", {"symbol": symbol, "leverage": leverage})
        return int(answer["leverage"])

    def set_isolated(self, symbol: str, isolated: bool) -> None:
        """Set the margin type of a symbol; the venue refuses while it has orders or a position."""
        self._set("/fapi/v1/marginType", symbol=symbol, marginType="ISOLATED" if isolated else "CROSSED")

    def set_hedge(self, hedge: bool) -> None:
        """Set the position mode of the account; the venue refuses while it has orders or positions."""
        self._set("/fapi/v1/positionSide/dual", dualSidePosition=hedge)

    def _set(self, path: str, **params: Any) -> None:
        try:
            self._repeatable("POST", path, params)
        except VenueRejected as error:
            if error.code not in _NO_NEED_TO_CHANGE:
                raise

    def key_permissions(self) -> Mapping[str, bool] | None:
        """What the key may do, by the venue's own flags; None without a way to the host that knows."""
        if self._wallet is None:
            return None
        return BinanceSpot(self._wallet, sleep=self._sleep).key_permissions()

    def identity(self) -> str:
        """The account the key is of: USD-M answers no `uid`, but each balance with the account's unique alias."""
        aliases = {str(row.get("accountAlias") or "") for row in self._read("/fapi/v3/balance", {})}
        return f"alias {aliases.pop()}" if len(aliases) == 1 and "" not in aliases else ""

    def commission_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker commission of a symbol, as fractions."""
        answer = self._read("/fapi/v1/commissionRate", {"symbol": symbol})
        return Decimal(answer["makerCommissionRate"]), Decimal(answer["takerCommissionRate"])
