"""The backtester against bare loops and public packages: 1M one-minute bars, SMA 20/50, 0.1 % fee, next open.

    python benchmarks/backtest.py [--bars 1000000] [--peers PYTHON] [--nautilus PYTHON]

Process CPU seconds, medians of three; a peer's run of more than 20 s is timed once, after one that is not. The
two PYTHON are the interpreters of the environments that `make peers` makes; a peer that is not installed is
skipped with a line that says so. Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
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
from benchmarks._backtest_side_by_side import ORDERS, SWEEP_BARS, compare  # noqa: E402
from benchmarks._backtest_strategies import (  # noqa: E402
    FAST,
    SLOW,
    CompiledFlipping,
    CompiledSilent,
    Flipping,
    PlainCrossing,
    Silent,
    Windows,
)
from benchmarks._peer import PEERS, PEERS_NAUTILUS  # noqa: E402
from trading.domain.backtest import Assignment, BacktestRun, BarSeries  # noqa: E402
from trading.domain.strategies import Strategy  # noqa: E402
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams  # noqa: E402

CASH = 1_000_000_000.0
PAIRS = [(fast, slow) for fast in range(5, 15) for slow in range(20, 120, 10)]


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


def compiled_order_cost(orders: int) -> float:
    """The same in the compiled engine, with a step that is asked at every bar."""
    from trading.domain.backtest.compiled import run_compiled

    series = market(orders + 2, seed=3)
    flipping, silent = (inputs(series, each(), Windows()) for each in (CompiledFlipping, CompiledSilent))
    run_compiled(flipping), run_compiled(silent)  # compiles
    busy, result = cpu(lambda: run_compiled(flipping), 5)
    idle, _ = cpu(lambda: run_compiled(silent), 5)
    return (busy - idle) / len(result.ledger.fills)


def compiled_engine(report: Report, series: BarSeries) -> tuple[dict[str, float], list[float]]:
    if find_spec("numba") is None:
        print("compiled engine: skipped, numba is not installed")
        return {}, []
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
    report.say(
        "compiled_order_path", compiled_order_cost(100_000) * 1e9, "ns/order", "the same rails and books"
    )
    swept, equities = sweep(report, series.first(min(len(series), SWEEP_BARS)))
    # It loads numba, without which the rest still runs.
    from benchmarks._backtest_built_in import built_in

    built_in(report, series)
    return {"compiled": ours, "first": first, **swept}, equities


def sweep(report: Report, series: BarSeries) -> tuple[dict[str, float], list[float]]:
    """As `manage.py sweep` runs it, with every figure it keeps of a run; and the runs alone, for their equities."""
    from trading.domain.backtest.compiled import run_compiled
    from trading.domain.research.evaluate import engine_for, evaluate
    from trading.domain.research.outcomes import period_rows

    strategy = MovingAverage()
    every = [MovingAverageParams(fast, slow) for fast, slow in PAIRS]
    task = inputs(series, strategy, every[0])
    engine = engine_for(len(series) * len(every))

    def whole() -> list[float]:
        rows = period_rows(run_compiled(task).times_ns)
        return [outcome.final_equity for outcome in evaluate(task, strategy, every, rows, engine)]

    def alone() -> list[float]:
        runs = (
            engine(replace(task, assignments=[Assignment("BTCUSDT", strategy, params)])) for params in every
        )
        return [float(result.final_equity) for result in runs]

    figures, _ = cpu(whole, 5)
    taken, equities = cpu(alone, 5)
    size = f"{len(PAIRS)} pairs, {len(series):,} bars, one thread"
    report.say("sweep", taken, "s", f"{size}: equity of each")
    report.say(
        "sweep_with_figures", figures, "s", f"{size}: Sharpe, drawdown, trades, period returns of each"
    )
    return {"sweep": taken, "sweep_figures": figures}, equities


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--peers", default=PEERS)
    parser.add_argument("--nautilus", default=PEERS_NAUTILUS)
    options = parser.parse_args()
    report = Report()
    series = market(options.bars)
    trips, equity, python = python_engine(report, series)
    ours = {"python": python}
    for orders in ORDERS:
        ours[f"order_{orders}"] = taken = order_cost(orders) * 1e6
        report.say(f"order_path_{orders}", taken, "us/order", "check, order, fill, books")
    found, equities = compiled_engine(report, series)
    ours |= found
    compare(report, series, options.peers, options.nautilus, ours, (trips, float(equity)), (PAIRS, equities))


if __name__ == "__main__":
    main()
