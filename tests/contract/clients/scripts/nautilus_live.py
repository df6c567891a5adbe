"""A NautilusTrader live node on the spot market or on USD-M futures, from reconciliation to its stop.

The strategy subscribes to market data, rests a limit order, buys at market, cancels what rests, and stops.
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import (
    InstrumentProviderConfig,
    LiveExecEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce, TriggerType
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.trading.strategy import Strategy
from steps import API_KEY, API_SECRET, URL, WS, Steps

FUTURES = sys.argv[1] == "futures"
SYMBOL = "BTCUSDT-PERP.BINANCE" if FUTURES else "BTCUSDT.BINANCE"
INSTRUMENT = InstrumentId.from_str(SYMBOL)
DATA = {"quote", "trade", "bar", "deltas"} | ({"mark"} if FUTURES else set())
LIMIT_S = 90.0
steps = Steps()


class Walk(Strategy):
    """One pass through everything a first strategy does."""

    def __init__(self, done: asyncio.Event) -> None:
        super().__init__()
        self.done = done
        self.data: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.resting: Any = None
        self.conditional: Any = None

    def on_start(self) -> None:
        self.found_open = [
            [order.client_order_id.value, order.venue_order_id.value, order.status_string()]
            for order in self.cache.orders_open(instrument_id=INSTRUMENT)
        ]
        account = self.portfolio.account(INSTRUMENT.venue)
        self.found_balances = {
            str(money.currency): str(money.as_decimal()) for money in account.balances_total().values()
        }
        self.subscribe_quote_ticks(INSTRUMENT)
        self.subscribe_trade_ticks(INSTRUMENT)
        self.subscribe_order_book_deltas(INSTRUMENT)
        self.subscribe_bars(BarType.from_str(f"{SYMBOL}-1-MINUTE-LAST-EXTERNAL"))
        if FUTURES:
            self.subscribe_mark_prices(INSTRUMENT)

    def saw(self, kind: str, value: Any) -> None:
        self.data.setdefault(kind, str(value))
        if self.data.keys() >= DATA and self.resting is None:
            self.rest_limit()

    def on_quote_tick(self, tick: Any) -> None:
        self.bid = tick.bid_price.as_decimal()
        self.saw("quote", tick)

    def on_trade_tick(self, tick: Any) -> None:
        self.saw("trade", tick)

    def on_bar(self, bar: Any) -> None:
        self.saw("bar", bar)

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.saw("deltas", deltas)

    def on_mark_price(self, mark: Any) -> None:
        self.saw("mark", mark)

    def price(self, factor: str) -> Any:
        return self.cache.instrument(INSTRUMENT).make_price(self.bid * Decimal(factor))

    def quantity(self, amount: str) -> Any:
        return self.cache.instrument(INSTRUMENT).make_qty(Decimal(amount))

    def rest_limit(self) -> None:
        self.resting = self.order_factory.limit(
            INSTRUMENT, OrderSide.BUY, self.quantity("0.010"), self.price("0.9"), TimeInForce.GTC
        )
        self.submit_order(self.resting)

    def on_order_event(self, event: Any) -> None:
        self.events.append({"event": type(event).__name__, "client_order_id": event.client_order_id.value})

    def on_order_accepted(self, event: Any) -> None:
        if event.client_order_id == self.resting.client_order_id:
            self.submit_order(self.order_factory.market(INSTRUMENT, OrderSide.BUY, self.quantity("0.015")))
        elif self.conditional is not None and event.client_order_id == self.conditional.client_order_id:
            self.cancel_order(self.conditional)

    def on_order_filled(self, event: Any) -> None:
        self.fill = {
            "price": str(event.last_px), "quantity": str(event.last_qty), "trade_id": event.trade_id.value,
            "commission": str(event.commission.as_decimal()), "currency": str(event.commission.currency),
            "venue_order_id": event.venue_order_id.value, "maker": event.liquidity_side.name == "MAKER",
        }  # fmt: skip
        if self.cache.order(event.client_order_id).is_closed:
            self.cancel_order(self.resting)

    def on_order_canceled(self, event: Any) -> None:
        if event.client_order_id != self.resting.client_order_id:
            self.done.set()
            return
        # The venue's conditional orders: STOP_MARKET on futures, STOP_LOSS_LIMIT on spot.
        if FUTURES:
            self.conditional = self.order_factory.stop_market(
                INSTRUMENT, OrderSide.SELL, self.quantity("0.015"), self.price("0.9"),
                TriggerType.MARK_PRICE, reduce_only=True,
            )  # fmt: skip
        else:
            self.conditional = self.order_factory.stop_limit(
                INSTRUMENT, OrderSide.SELL, self.quantity("0.010"), self.price("0.9"), self.price("0.91"),
                TriggerType.LAST_PRICE,
            )  # fmt: skip
        self.submit_order(self.conditional)

    def on_order_rejected(self, event: Any) -> None:
        self.events[-1]["reason"] = event.reason
        self.done.set()


def build(done: asyncio.Event) -> tuple[TradingNode, Walk]:
    kind = BinanceAccountType.USDT_FUTURES if FUTURES else BinanceAccountType.SPOT
    # This version opens futures streams below the root, where spot's have the same names.
    sockets = f"{WS}/market" if FUTURES else WS
    common = {
        "api_key": API_KEY, "api_secret": API_SECRET, "account_type": kind,
        "base_url_http": URL, "base_url_ws": sockets,
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset({INSTRUMENT})),
    }  # fmt: skip
    node = TradingNode(
        TradingNodeConfig(
            trader_id=TraderId("TESTER-001"),
            logging=LoggingConfig(log_level="WARNING", use_pyo3=False),
            exec_engine=LiveExecEngineConfig(reconciliation=True),
            data_clients={BINANCE: BinanceDataClientConfig(**common)},
            exec_clients={BINANCE: BinanceExecClientConfig(**common)},
            timeout_connection=20.0, timeout_reconciliation=10.0, timeout_portfolio=10.0,
            timeout_disconnection=5.0, timeout_post_stop=1.0,
        )
    )  # fmt: skip
    walk = Walk(done)
    node.trader.add_strategy(walk)
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    return node, walk


async def main(node: TradingNode, walk: Walk) -> None:
    running = asyncio.create_task(node.run_async())
    try:
        with steps("walk"):
            await asyncio.wait_for(walk.done.wait(), LIMIT_S)
    finally:
        with steps("reconciled") as out:
            out.value = {"open": walk.found_open, "balances": walk.found_balances}
        with steps("data") as out:
            out.value = walk.data
        with steps("events") as out:
            out.value = walk.events
        with steps("fill") as out:
            out.value = walk.fill
        with steps("final") as out:
            account = node.portfolio.account(INSTRUMENT.venue)
            out.value = {
                "balances": {str(m.currency): str(m.as_decimal()) for m in account.balances_total().values()},
                "net_position": str(node.portfolio.net_position(INSTRUMENT)),
            }
        with steps("stopped") as out:
            await node.stop_async()
            await asyncio.wait_for(running, 20)
            out.value = True


# The node keeps the loop it was made in and stops it when disposed of, so `asyncio.run` will not do.
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
the_node, the_walk = build(asyncio.Event())
loop.run_until_complete(main(the_node, the_walk))
steps.report()
the_node.dispose()
