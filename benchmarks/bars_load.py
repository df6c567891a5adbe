"""Stored bars to arrays: ten million one-minute bars, decoded once and mapped afterwards.

    python benchmarks/bars_load.py [--bars 10000000]

Wall and CPU seconds until a BarSeries is ready for either engine, checks included. The goal is the second figure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
HOME = tempfile.TemporaryDirectory(prefix="nautilus-bench-")
os.environ["NAUTILUS_HOME"] = HOME.name
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus_site.settings.local")

import django  # noqa: E402

django.setup()

from benchmarks._backtest_market import instrument  # noqa: E402
from trading.domain.backtest import BarSeries  # noqa: E402
from trading.services.backtests.columns import columns_read  # noqa: E402
from universe.adapters.klines.tables import MONEY, SCHEMA  # noqa: E402
from universe.models import KlineFile  # noqa: E402
from universe.services.kline_files import kline_store  # noqa: E402

MINUTE_MS = 60_000
TICK = 2_500_000_000  # 0.25 in units of 1e-10


def decimals(units: Any) -> pa.Array:
    """Whole units of 1e-10 as the store's decimals: two 64-bit words, the low one first."""
    words = np.zeros((len(units), 2), dtype="<i8")
    words[:, 0] = units
    return pa.Array.from_buffers(MONEY, len(units), [None, pa.py_buffer(words.tobytes())])


def stored(bars: int) -> KlineFile:
    """Write a random walk in quarters into a store of its own."""
    rng = np.random.default_rng(7)
    close = (80_000 + np.cumsum(rng.integers(-2, 3, bars))).clip(1_000) * TICK
    opens = np.concatenate((close[:1], close[:-1]))
    spread = rng.integers(0, 8, bars) * TICK
    high, low = np.maximum(opens, close) + spread, np.minimum(opens, close) - spread
    volume = rng.integers(1, 10**6, bars) * 10**6
    arrays = {
        "open_time": pa.array(1_300_000_020_000 + np.arange(bars) * MINUTE_MS, type=pa.timestamp("ms", "UTC")),
        **{n: decimals(c) for n, c in zip(("open", "high", "low", "close"), (opens, high, low, close), strict=True)},
        "volume": decimals(volume),
        "quote_volume": decimals(volume),
        "trades": pa.array(rng.integers(1, 100, bars)),
        "taker_base": decimals(volume // 2),
        "taker_quote": decimals(volume // 2),
    }  # fmt: skip
    store = kline_store()
    path = store.relative_path("BTCUSDT", "1m", "spot")
    written = store.write(path, pa.table([arrays[field.name] for field in SCHEMA], schema=SCHEMA))
    return KlineFile(
        symbol="BTCUSDT", market="spot", interval="1m", path=path, sha256=written.sha256, rows=bars
    )


def loaded(row: KlineFile) -> BarSeries:
    """What `series_load` does once the rows of the database are there."""
    columns = columns_read(row)
    opened, high, low, closed = (price // TICK for price in columns.prices)
    volume, quote_volume, taker_base = columns.amounts
    close_ns = columns.open_ns + np.int64(MINUTE_MS * 1_000_000 - 1_000_000)
    return BarSeries(
        instrument(), "1m", columns.open_ns, close_ns, opened, high, low, closed,
        volume, quote_volume, columns.trades, taker_base,
    )  # fmt: skip


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    began, used = time.perf_counter(), time.process_time()
    done = work()
    return time.perf_counter() - began, time.process_time() - used, done


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bars", type=int, default=10_000_000)
    row = stored(parser.parse_args().bars)
    print(f"{'load':10} {'wall, s':>10} {'CPU, s':>10}")
    sizes = []
    for name in ("decoded", "mapped", "again"):
        wall, used, series = timed(lambda: loaded(row))
        sizes.append((len(series), int(series.close[-1])))
        print(f"{name:10} {wall:>10.3f} {used:>10.3f}")
        print(json.dumps({"name": f"bars_load_{name}", "wall_s": wall, "cpu_s": used, "bars": len(series)}))
    assert len(set(sizes)) == 1, "the three loads differ"


if __name__ == "__main__":
    main()
