# ruff: noqa: T201  (an example talks to a person)
"""A NautilusTrader live node on the paper exchange: wait for a quote, buy at market, see the fill, stop.

python testnet/examples/nautilus_node.py [SPOT | USDT_FUTURES]
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

from account import URL, WS, api_key
from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

KIND = BinanceAccountType[sys.argv[1] if len(sys.argv) > 1 else "SPOT"]
INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE" if KIND.is_spot else "BTCUSDT-PERP.BINANCE")


class BuyOnce(Strategy):
    """Buys at the first quote and stops the node at the fill."""

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT)

    def on_quote_tick(self, tick: Any) -> None:
        if not self.cache.orders():
            print("quote", tick.bid_price, tick.ask_price)
            quantity = self.cache.instrument(INSTRUMENT).make_qty(Decimal("0.010"))
            self.submit_order(self.order_factory.market(INSTRUMENT, OrderSide.BUY, quantity))

    def on_order_filled(self, event: Any) -> None:
        print("fill", event.last_qty, "at", event.last_px)
        self.shutdown_system("done")

    def on_stop(self) -> None:
        self.unsubscribe_quote_ticks(INSTRUMENT)


key, secret = api_key()
# This version opens futures streams below the root, where spot's have the same names.
sockets = WS if KIND.is_spot else f"{WS}/market"
client = {
    "api_key": key, "api_secret": secret, "account_type": KIND, "base_url_http": URL, "base_url_ws": sockets,
    "instrument_provider": InstrumentProviderConfig(load_ids=frozenset({INSTRUMENT})),
}  # fmt: skip
config = TradingNodeConfig(
    logging=LoggingConfig(log_level="WARNING"),
    data_clients={BINANCE: BinanceDataClientConfig(**client)},
    exec_clients={BINANCE: BinanceExecClientConfig(**client)},
    timeout_post_stop=1.0,
)


node = TradingNode(config)
node.trader.add_strategy(BuyOnce())
node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
node.build()
node.run()
node.dispose()
print("stopped")
