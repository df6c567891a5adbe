"""The private events of the USD-M market, with exactly the members the venue lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from testnet.orders import Fill, Order, Status
from testnet.usdm.account import FuturesAccount
from testnet.usdm.algo import AlgoOrder
from testnet.usdm.clearing import PLAIN, is_reducing
from testnet.usdm.margin import Margin, Marks
from testnet.usdm.market import UsdmMarket
from testnet.usdm.order_json import average_price, average_text, price_text
from testnet.usdm.positions import Position
from testnet.values import trimmed_text, units_text

# (account id, event, symbol)
Deliver = Callable[[str, dict[str, Any], str | None], None]
# Fills of liquidation and deleveraging orders are told as calculated, not as trades.
CALCULATED_IDS = ("autoclose-", "adl_autoclose")


class Clocks(Protocol):
    """Wall time for E, market time for T."""

    def server_ms(self) -> int: ...


class UsdmEvents:
    """Turns what happens to an account into events; nothing is built for accounts nobody follows."""

    def __init__(
        self, clocks: Clocks, market: UsdmMarket, follows: Callable[[str], bool], deliver: Deliver
    ) -> None:
        self._clocks = clocks
        self._market = market
        self._follows = follows
        self._deliver = deliver

    # -- orders ----------------------------------------------------------------------------

    def order_event(self, order: Order, fill: Fill | None, cancel_id: str | None) -> None:
        """Send an ORDER_TRADE_UPDATE, and the TRADE_LITE of a fill before it."""
        if not self._follows(order.account_id):
            return
        symbol = order.instrument.symbol
        if fill is not None:
            self._deliver(order.account_id, trade_lite(order, fill, self._clocks.server_ms()), symbol)
        self._deliver(order.account_id, order_update(order, fill, self._clocks.server_ms()), symbol)

    def order_amended(self, order: Order) -> None:
        """Send an ORDER_TRADE_UPDATE of type AMENDMENT."""
        if self._follows(order.account_id):
            event = order_update(order, None, self._clocks.server_ms(), execution="AMENDMENT")
            self._deliver(order.account_id, event, order.instrument.symbol)

    def algo_event(self, algo: AlgoOrder) -> None:
        """Send an ALGO_UPDATE."""
        if self._follows(algo.account_id):
            event = algo_update(algo, self._clocks.server_ms())
            self._deliver(algo.account_id, event, algo.instrument.symbol)

    def trigger_rejected(self, algo: AlgoOrder) -> None:
        """Send a CONDITIONAL_ORDER_TRIGGER_REJECT."""
        if self._follows(algo.account_id):
            event = {
                "e": "CONDITIONAL_ORDER_TRIGGER_REJECT",
                "E": self._clocks.server_ms(),
                "T": algo.updated_ms,
                "or": {"s": algo.instrument.symbol, "i": algo.algo_id, "r": algo.reject_reason},
            }
            self._deliver(algo.account_id, event, algo.instrument.symbol)

    # -- accounts --------------------------------------------------------------------------

    def account_update(
        self, account_id: str, reason: str, assets: Mapping[str, int], positions: list[Position]
    ) -> None:
        """Send an ACCOUNT_UPDATE."""
        if not self._follows(account_id):
            return
        account = self._market.accounts.of(account_id)
        event = {
            "e": "ACCOUNT_UPDATE",
            "E": self._clocks.server_ms(),
            "T": account.updated_ms,
            "a": {
                "m": reason,
                "B": [
                    {
                        "a": asset,
                        "wb": units_text(account.wallet(asset)),
                        "cw": units_text(account.cross_wallet(asset)),
                        "bc": units_text(change) if change else "0",
                    }
                    for asset, change in assets.items()
                ],
                "P": [_position(account, position, self._market.marks) for position in positions],
            },
        }
        self._deliver(account_id, event, positions[0].symbol if len(positions) == 1 else None)

    def leverage_changed(self, account_id: str, symbol: str, leverage: int) -> None:
        """Send an ACCOUNT_CONFIG_UPDATE for a symbol's leverage."""
        if self._follows(account_id):
            event = {
                "e": "ACCOUNT_CONFIG_UPDATE",
                "E": self._clocks.server_ms(),
                "T": self._market.accounts.of(account_id).updated_ms,
                "ac": {"s": symbol, "l": leverage},
            }
            self._deliver(account_id, event, symbol)

    def margin_call(self, account_id: str, positions: list[Position]) -> None:
        """Send a MARGIN_CALL for positions in danger."""
        if not self._follows(account_id):
            return
        account = self._market.accounts.of(account_id)
        asset = positions[0].instrument.quote
        event = {
            "e": "MARGIN_CALL",
            "E": self._clocks.server_ms(),
            "cw": units_text(account.cross_wallet(asset)),
            "p": [self._endangered(account, position, self._market.margin) for position in positions],
        }
        self._deliver(account_id, event, None)

    def _endangered(self, account: FuturesAccount, position: Position, margin: Margin) -> dict[str, str]:
        instrument = position.instrument
        mark = self._market.marks.of(position.symbol)
        isolated = position.symbol in account.isolated
        return {
            "s": position.symbol,
            "ps": position.side,
            "pa": instrument.qty_text(position.steps),
            "mt": "ISOLATED" if isolated else "CROSSED",
            "iw": units_text(position.isolated) if isolated else "0",
            "mp": trimmed_text(mark),
            "up": units_text(position.profit(mark)),
            "mm": units_text(margin.symbol(account, instrument).maintenance),
        }


def _position(account: FuturesAccount, position: Position, marks: Marks) -> dict[str, str]:
    isolated = position.symbol in account.isolated
    return {
        "s": position.symbol,
        "pa": position.instrument.qty_text(position.steps),
        "ep": entry_text(position.entry_price(), position),
        "bep": entry_text(position.break_even_price(), position),
        "cr": units_text(position.accumulated),
        "up": units_text(position.profit(marks.of(position.symbol))),
        "mt": "isolated" if isolated else "cross",
        "iw": units_text(position.isolated) if isolated else "0",
        "ps": position.side,
    }


def entry_text(price: int, position: Position) -> str:
    """An average price: as many decimals as it has, at least the contract's; "0" when flat."""
    if not position.steps:
        return "0"
    return average_text(price, position.instrument.tick)


def trade_lite(order: Order, fill: Fill, server_ms: int) -> dict[str, Any]:
    """The early, short report of a fill."""
    instrument = order.instrument
    return {
        "e": "TRADE_LITE",
        "E": server_ms,
        "T": fill.time_ms,
        "s": instrument.symbol,
        "q": instrument.qty_text(order.steps),
        "p": instrument.price_text(order.price),
        "m": fill.maker,
        "c": order.client_order_id,
        "S": order.side,
        "L": instrument.price_text(fill.price // instrument.tick),
        "l": instrument.qty_text(fill.quantity // instrument.step),
        "t": fill.trade_id,
        "i": order.order_id,
    }


def order_update(
    order: Order, fill: Fill | None, server_ms: int, execution: str | None = None
) -> dict[str, Any]:
    """The ORDER_TRADE_UPDATE of an order's latest change."""
    instrument, position_terms = order.instrument, order.position or PLAIN
    symbol_tick = instrument.tick
    zero_quantity, zero_price = instrument.qty_text(0), "0"
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": server_ms,
        "T": order.updated_ms,
        "o": {
            "s": instrument.symbol,
            "c": order.client_order_id,
            "S": order.side,
            "o": order.type,
            "f": order.time_in_force,
            "q": instrument.qty_text(order.steps),
            "p": instrument.price_text(order.price),
            "ap": average_text(average_price(order), symbol_tick) if order.executed else "0",
            "sp": zero_price,
            "x": execution or _execution(order, fill),
            "X": order.status.value,
            "i": order.order_id,
            "l": instrument.qty_text(fill.quantity // instrument.step) if fill else zero_quantity,
            "z": instrument.qty_text(order.executed),
            "L": instrument.price_text(fill.price // symbol_tick) if fill else zero_price,
            "n": trimmed_text(fill.commission) if fill else "0",
            "N": fill.commission_asset if fill else instrument.quote,
            "T": order.updated_ms,
            "t": fill.trade_id if fill else 0,
            "b": "0",
            "a": "0",
            "m": fill.maker if fill else False,
            "R": position_terms.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": position_terms.original_type or order.type,
            "ps": position_terms.position_side,
            "cp": position_terms.close_position,
            "pP": False,
            "si": 0,
            "ss": 0,
            "rp": trimmed_text(fill.realized) if fill else "0",
            "V": order.stp_mode,
            "pm": position_terms.price_match,
            "gtd": position_terms.good_till_ms,
            "er": expiry_reason(order),
        },
    }


def _execution(order: Order, fill: Fill | None) -> str:
    if fill is not None:
        return "CALCULATED" if order.client_order_id.startswith(CALCULATED_IDS) else "TRADE"
    if order.status is Status.EXPIRED_IN_MATCH:
        return "EXPIRED"
    return order.status.value


def expiry_reason(order: Order) -> str:
    """Why an order expired, in the venue's numbers; "0" for one that did not."""
    if order.status is Status.EXPIRED_IN_MATCH:
        return "1"
    if order.status is not Status.EXPIRED:
        return "0"
    if order.type == "MARKET":
        return "9"
    if order.time_in_force in ("IOC", "FOK"):
        return "2"
    if is_reducing(order.position or PLAIN, order.side):
        return "4"
    return "0"


def algo_update(algo: AlgoOrder, server_ms: int) -> dict[str, Any]:
    """The ALGO_UPDATE of a conditional order's latest change."""
    instrument = algo.instrument
    order = algo.order
    executed = order.executed if order is not None else 0
    return {
        "e": "ALGO_UPDATE",
        "T": algo.updated_ms,
        "E": server_ms,
        "o": {
            "caid": algo.client_algo_id,
            "aid": algo.algo_id,
            "at": "CONDITIONAL",
            "o": algo.type,
            "s": instrument.symbol,
            "S": algo.side,
            "ps": algo.position_side,
            "f": algo.time_in_force,
            "q": instrument.qty_text(algo.quantity // instrument.step),
            "X": algo.status.value,
            "ai": str(algo.order_id) if algo.order_id else "",
            "ap": average_text(average_price(order), instrument.tick) if order and executed else "0.00000",
            "aq": instrument.qty_text(executed) if executed else "0.00000",
            "act": order.type if order is not None else "0",
            "tp": price_text(algo.trigger_price, algo),
            "p": price_text(algo.price, algo),
            "V": algo.stp_mode,
            "wt": algo.working_type,
            "pm": algo.price_match,
            "cp": algo.close_position,
            "pP": algo.price_protect,
            "R": algo.reduce_only,
            "tt": algo.triggered_ms,
            "gtd": algo.good_till_ms,
            "rm": algo.reject_reason,
        },
    }
