"""The same backtest and the cost of an order in nautilus_trader; run by its own interpreter, which has none of ours.

    python benchmarks/_backtest_nautilus.py BARS.npz crossing
    python benchmarks/_backtest_nautilus.py BARS.npz orders COUNT [COUNT ...]

A market order of a bar strategy fills there at the last price before it, the close of the bar. To fill at the
next open it is given bars that begin with a close and end with the open after it; the averages are of the
former. Only the engine's run is timed, not making its bars. Prints one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.core.rust.model import AccountType, OmsType, OrderSide
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

FAST, SLOW, CASH = 20, 50, 1_000_000_000
MINUTE_NS = 60_000_000_000
OPENS_NS = 1_600_000_020_000_000_000
VENUE = Venue("BINANCE")
INSTRUMENT = InstrumentId(Symbol("BTCUSDT"), VENUE)
BARS = BarType.from_str("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")


def instrument() -> Any:
    return CurrencyPair(
        instrument_id=INSTRUMENT, raw_symbol=Symbol("BTCUSDT"), base_currency=BTC, quote_currency=USDT,
        price_precision=2, size_precision=5, price_increment=Price.from_str("0.25"),
        size_increment=Quantity.from_str("0.00001"), ts_event=0, ts_init=0,
        maker_fee=Decimal("0.001"), taker_fee=Decimal("0.001"),
    )  # fmt: skip


def bars(data: Any, count: int) -> list[Any]:
    close, following = data["close"][:count], np.append(data["open"][1:], data["close"][-1])[:count]
    volume = Quantity.from_str("1000000.00000")
    made = []
    for at, (a, b) in enumerate(zip(close.tolist(), following.tolist(), strict=True)):
        opened, closed = Price(a, 2), Price(b, 2)
        high, low = (opened, closed) if a > b else (closed, opened)
        time_ns = OPENS_NS + (at + 1) * MINUTE_NS
        made.append(Bar(BARS, opened, high, low, closed, volume, time_ns, time_ns))
    return made


class Trading(Strategy):  # type: ignore[misc]
    """Buys one unit, sells it."""

    def __init__(self) -> None:
        super().__init__()
        self.size = Quantity.from_str("1.00000")
        self.long = False

    def on_start(self) -> None:
        self.subscribe_bars(BARS)

    def send(self, side: OrderSide) -> None:
        self.long = side == OrderSide.BUY
        self.submit_order(self.order_factory.market(INSTRUMENT, side, self.size))


class Crossing(Trading):
    """The averages of closes, one above the other."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow = SimpleMovingAverage(FAST), SimpleMovingAverage(SLOW)

    def on_bar(self, bar: Any) -> None:
        close = bar.open.as_double()
        self.fast.update_raw(close)
        self.slow.update_raw(close)
        if not self.slow.initialized:
            return
        if self.fast.value > self.slow.value:
            if not self.long:
                self.send(OrderSide.BUY)
        elif self.long and self.fast.value < self.slow.value:
            self.send(OrderSide.SELL)


class Silent(Trading):
    """Never trades."""

    def on_bar(self, bar: Any) -> None:
        pass


class Flipping(Trading):
    """An order at every bar."""

    def on_bar(self, bar: Any) -> None:
        self.send(OrderSide.SELL if self.long else OrderSide.BUY)


def run(made: list[Any], strategy: Trading) -> tuple[float, int, Decimal, bool]:
    """CPU seconds, orders filled, quote currency at the end, whether one unit is held."""
    engine = BacktestEngine(
        BacktestEngineConfig(trader_id=TraderId("BENCH-001"), logging=LoggingConfig(bypass_logging=True))
    )
    engine.add_venue(
        venue=VENUE, oms_type=OmsType.NETTING, account_type=AccountType.CASH, base_currency=None,
        starting_balances=[Money(CASH, USDT), Money(0, BTC)],
    )  # fmt: skip
    engine.add_instrument(instrument())
    engine.add_data(made)
    engine.add_strategy(strategy)
    began = time.process_time()
    engine.run()
    taken = time.process_time() - began
    orders = len(engine.cache.orders_closed())
    cash = engine.portfolio.account(VENUE).balance_total(USDT).as_decimal()
    engine.dispose()
    return taken, orders, cash, strategy.long


def crossing(data: Any) -> dict[str, Any]:
    """The last open after the last bar is not known, so an order of the last bar is left out."""
    count = len(data["close"])
    made = bars(data, count - 1)
    runs = [run(made, Crossing()) for _ in range(2)]
    _, orders, cash, held = runs[0]
    last = Decimal(float(data["close"][-1])) if held else Decimal(0)
    return {
        "first": runs[0][0],
        "median": statistics.median(taken for taken, *_ in runs[1:]),
        "trades": orders // 2,
        "equities": [float(cash + last)],
    }


def orders(data: Any, count: int) -> float:
    """CPU microseconds that one order adds."""
    made = bars(data, count)
    busy, idle = [], []
    sent = 0
    for _ in range(3 if count <= 20_000 else 1):
        taken, sent, _, _ = run(made, Flipping())
        busy.append(taken)
        idle.append(run(made, Silent())[0])
    return (statistics.median(busy) - statistics.median(idle)) / sent * 1e6


def main() -> None:
    data = dict(np.load(sys.argv[1]))
    if sys.argv[2] == "crossing":
        print(json.dumps(crossing(data)))
    else:
        print(json.dumps({text: orders(data, min(int(text), len(data["close"]))) for text in sys.argv[3:]}))


if __name__ == "__main__":
    main()
