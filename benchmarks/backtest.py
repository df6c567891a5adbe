"""The backtester against bare loops and public packages: 1M one-minute bars, SMA 20/50, 0.1 % fee, next open.

    python benchmarks/backtest.py [--bars 1000000] [--peers PYTHON]

Process CPU seconds, medians of three. PYTHON is the interpreter of an environment made from
benchmarks/requirements-peers.txt (default: BENCH_PEERS, else var/peers/bin/python); without it the peers are
skipped. Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._backtest_market import Report, cpu, inputs, market  # noqa: E402
from benchmarks._backtest_strategies import FAST, SLOW, Flipping, PlainCrossing, Silent, Windows  # noqa: E402
from trading.domain.backtest import BacktestRun, BarSeries  # noqa: E402
from trading.domain.strategies import Strategy  # noqa: E402
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams  # noqa: E402

CASH = 1_000_000_000.0
PEERS = {"backtesting": "4x", "vectorbt": "20x warm, 6x first call"}


def bare_python(opens: list[float], closes: list[float]) -> tuple[int, float]:
    """The fewest lines that trade the crossing: averages, order, fill, fee."""
    cash, held, wish, trips = CASH, 0, 0, 0
    fast: deque[float] = deque(maxlen=FAST)
    slow: deque[float] = deque(maxlen=SLOW)
    fast_sum = slow_sum = 0.0
    for opened, close in zip(opens, closes, strict=True):
        if wish != held:
            if wish:
                cash -= opened + opened * 0.001
            else:
                cash += opened - opened * 0.001
                trips += 1
            held = wish
        if len(fast) == FAST:
            fast_sum -= fast[0]
        if len(slow) == SLOW:
            slow_sum -= slow[0]
        fast.append(close)
        slow.append(close)
        fast_sum += close
        slow_sum += close
        if len(slow) == SLOW:
            gap = fast_sum * SLOW - slow_sum * FAST
            wish = 1 if gap > 0 else 0 if gap < 0 else wish
    return trips, cash + held * closes[-1]


def bare_machine() -> Callable[..., tuple[int, float]]:
    import numba

    @numba.njit("Tuple((int64, float64))(float64[::1], float64[::1])")
    def loop(opens: Any, closes: Any) -> Any:
        cash, held, wish, trips, fast_sum, slow_sum = CASH, 0, 0, 0, 0.0, 0.0
        for i in range(len(closes)):
            if wish != held:
                if wish == 1:
                    cash -= opens[i] + opens[i] * 0.001
                else:
                    cash += opens[i] - opens[i] * 0.001
                    trips += 1
                held = wish
            fast_sum += closes[i] - (closes[i - FAST] if i >= FAST else 0.0)
            slow_sum += closes[i] - (closes[i - SLOW] if i >= SLOW else 0.0)
            if i >= SLOW - 1:
                gap = fast_sum * SLOW - slow_sum * FAST
                if gap > 0:
                    wish = 1
                elif gap < 0:
                    wish = 0
        return trips, cash + held * closes[-1]

    return loop  # type: ignore[no-any-return]


FIRST_CALL = """
import sys, time
began = time.process_time()
sys.path.insert(0, {root!r})
from pathlib import Path
from benchmarks._backtest_market import inputs, market
from trading.domain.backtest import machine
machine.use_cache(Path({cache!r}))
from trading.domain.backtest.compiled import run_compiled
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams
data = market(1000)
run_compiled(inputs(data, MovingAverage(), MovingAverageParams(20, 50)))
print(time.process_time() - began)
"""


def python_engine(report: Report, series: BarSeries) -> tuple[int, Decimal, float]:
    count = len(series)
    opens, _, _, closes = (column.tolist() for column in series.prices)
    bare, (trips, equity) = cpu(lambda: bare_python(opens, closes))

    def whole(strategy: Strategy) -> Any:
        run = BacktestRun(inputs(series, strategy, Windows()))
        run.advance()
        return run

    ours, run = cpu(lambda: whole(PlainCrossing()))
    result = run.result()
    silent, _ = cpu(lambda: whole(Silent()))
    report.say("python_engine", ours, "s", f"{len(result.trips):,} round trips")
    report.say("python_engine_over_bare_loop", ours / bare, "x", f"bare Python loop {bare:.3f} s")
    report.say("python_per_bar_engine_alone", silent / count * 1e9, "ns", "observation, gates, empty step")
    per_order = max(0.0, order_cost(20_000)) * len(result.ledger.fills)
    report.say("python_per_bar_orders", per_order / count * 1e9, "ns", f"{len(result.ledger.fills):,} orders")
    left = (ours - silent - per_order) / count * 1e9
    report.say("python_per_bar_strategy", left, "ns", "what is left: the step's own work")
    agree = trips == len(result.trips) and abs(float(result.final_equity) - equity) < 0.005
    report.say("python_engine_equals_bare_loop", float(agree), "bool", f"{trips:,} trips, {equity:,.2f}")
    return trips, result.final_equity, ours


def order_cost(orders: int) -> float:
    """CPU seconds from decision to booked fill, per order, the bars' own cost taken off."""
    series = market(orders + 2, seed=3)

    def whole(strategy: Strategy) -> Any:
        run = BacktestRun(inputs(series, strategy, Windows()))
        run.advance()
        return run

    busy, run = cpu(lambda: whole(Flipping()))
    idle, _ = cpu(lambda: whole(Silent()))
    return (busy - idle) / max(1, len(run.result().ledger.fills))


def compiled_engine(report: Report, series: BarSeries) -> tuple[float, float] | None:
    if find_spec("numba") is None:
        print("compiled engine: skipped, numba is not installed")
        return None
    from trading.domain.backtest import compiled, machine

    opens, closes = (np.ascontiguousarray(series.prices[at]) for at in (0, 3))
    loop = bare_machine()
    bare, (bare_trips, bare_equity) = cpu(lambda: loop(opens, closes))
    cache = tempfile.mkdtemp(prefix="nautilus-bench-")
    machine.use_cache(Path(cache))
    params = MovingAverageParams(FAST, SLOW)
    task = inputs(series, MovingAverage(), params)
    compiled.run_compiled(task)  # compiles
    ours, result = cpu(lambda: compiled.run_compiled(task))
    report.say("compiled_engine", ours, "s", f"{len(result.trips):,} round trips")
    report.say("compiled_engine_over_bare_kernel", ours / bare, "x", f"bare numba loop {bare:.4f} s")
    agree = bare_trips == len(result.trips) and abs(float(result.final_equity) - bare_equity) < 0.005
    report.say("compiled_engine_equals_bare_kernel", float(agree), "bool", f"{bare_trips:,} trips")
    piece = replace(task, series=[series.first(min(len(series), 100_000))])
    python = BacktestRun(piece)
    python.advance()
    same = python.result().sha256 == compiled.run_compiled(piece).sha256
    report.say("engines_agree_to_the_byte", float(same), "bool", f"{len(piece.series[0]):,} bars")
    code = FIRST_CALL.format(root=str(ROOT), cache=cache)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    first = float(done.stdout)
    report.say("compiled_first_call_fresh_process", first, "s", "imports and stored machine code included")
    sweep(report, series.first(min(len(series), 100_000)))
    # It loads numba, without which the rest still runs.
    from benchmarks._backtest_built_in import built_in

    built_in(report, series)
    return ours, first


def sweep(report: Report, series: BarSeries) -> None:
    from trading.domain.backtest.compiled import run_compiled

    pairs = [(fast, slow) for fast in range(5, 15) for slow in range(20, 120, 10)]

    def whole() -> float:
        total = 0.0
        for fast, slow in pairs:
            result = run_compiled(inputs(series, MovingAverage(), MovingAverageParams(fast, slow)))
            total += float(result.final_equity)
        return total

    taken, _ = cpu(whole)
    report.say("sweep_100_pairs_100k_bars", taken, "s", "one thread, equity of each; goal 25x vectorbt")


def installed(python: str, name: str) -> bool:
    if not Path(python).exists():
        return False
    probe = [python, "-c", f"from importlib.util import find_spec; print(find_spec({name!r}) is not None)"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603 (our own probe)
    return done.stdout.strip() == "True"


def peers(report: Report, series: BarSeries, python: str, ours: dict[str, float | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.npz"
        columns = dict(zip(("open", "high", "low", "close"), series.prices, strict=True))
        np.savez(path, volume=series.volume, **columns)
        for name, goal in PEERS.items():
            if not installed(python, name):
                print(f"{name}: skipped, not installed in {python}; see benchmarks/requirements-peers.txt")
                continue
            command = [python, str(ROOT / "benchmarks/_backtest_peers.py"), str(path), name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            found = json.loads(done.stdout.splitlines()[-1])
            note = f"{found['trades']:,} round trips, equity {found['equity']:,.2f}"
            report.say(f"{name}_warm", found["median"], "s", note)
            report.say(f"{name}_first_call", found["first"], "s")
            mine = ours["compiled" if name == "vectorbt" else "python"]
            if mine:
                report.say(f"{name}_over_ours", found["median"] / mine, "x", f"goal {goal}")
            if name == "vectorbt" and ours["first"]:
                report.say("vectorbt_first_over_ours", found["first"] / ours["first"], "x", "goal 6x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--peers", default=os.environ.get("BENCH_PEERS", str(ROOT / "var/peers/bin/python")))
    options = parser.parse_args()
    report = Report()
    series = market(options.bars)
    _, _, python = python_engine(report, series)
    for orders in (10_000, 100_000):
        report.say(
            f"order_path_{orders}",
            order_cost(orders) * 1e6,
            "us/order",
            "check, order, fill, books; goal 3.6",
        )
    machine = compiled_engine(report, series)
    compiled, first = machine if machine else (None, None)
    peers(report, series, options.peers, {"python": python, "compiled": compiled, "first": first})


if __name__ == "__main__":
    main()
