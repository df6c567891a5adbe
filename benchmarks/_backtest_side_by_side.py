"""Our figures beside those of public packages, each measured in this run: ours, theirs, the ratio and the goal."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._backtest_market import Report
from benchmarks._peer import installed, peer
from trading.domain.backtest import BarSeries

ORDERS = (10_000, 100_000)
SWEEP_BARS = 100_000
SWEEPS = (("vectorbt", "sweep", "25"), ("vectorbt", "figures", ""), ("backtesting", "sweep", "800"))
CENT = 0.005

Answer = tuple[int, float]
"""Round trips and final equity of the run of a million bars."""


def compare(
    report: Report,
    series: BarSeries,
    python: str,
    nautilus: str,
    ours: Mapping[str, float],
    answer: Answer,
    swept: tuple[Sequence[tuple[int, int]], Sequence[float]],
) -> None:
    """Run every peer that is installed over the same bars.

    Parameters
    ----------
    python, nautilus : interpreters of the peers.  ours : CPU seconds, microseconds for orders.
    swept : pairs of lengths, and the final equity of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "bars.npz", Path(folder) / "part.npz"
        _save(whole, series)
        _save(part, series.first(min(len(series), SWEEP_BARS)))
        side = _Side(report, ours, answer)
        if _have(python, "vectorbt"):
            found = side.crossing(
                "vectorbt", "compiled", "20", peer(python, _PEERS, whole, "vectorbt", "crossing")
            )
            side.ratio("first call: vectorbt", "first", found["first"], "6")
        if _have(python, "backtesting"):
            side.crossing(
                "backtesting", "python", "4", peer(python, _PEERS, whole, "backtesting", "crossing")
            )
        if _have(python, "backtrader"):
            for name, goal in (("backtrader", "50"), ("backtrader_bare", "")):
                side.crossing(name, "python", goal, peer(python, _PEERS, whole, name, "crossing"))
        if _have(nautilus, "nautilus_trader"):
            side.crossing("nautilus", "python", "25", peer(nautilus, _NAUTILUS, whole, "crossing"))
            for count, taken in peer(nautilus, _NAUTILUS, whole, "orders", *ORDERS).items():
                side.ratio(f"order of {count}: nautilus", f"order_{count}", taken, "100", "us")
        for name, kind, goal in SWEEPS:
            if swept[1] and installed(python, name):
                lengths = [length for pair in swept[0] for length in pair]
                found = peer(python, _PEERS, part, name, kind, *lengths)
                mine = "sweep" if kind == "sweep" else "sweep_figures"
                side.ratio(f"{mine}: {name}", mine, found["median"], goal)
                most = max(abs(a - b) for a, b in zip(found["equities"], swept[1], strict=True))
                report.say(f"{name}_{kind}_equals_ours", float(most < CENT), "bool", f"most {most:.2g} apart")


class _Side:
    def __init__(self, report: Report, ours: Mapping[str, float], answer: Answer) -> None:
        self._report, self._ours, self._answer = report, ours, answer

    def crossing(self, name: str, mine: str, goal: str, found: dict[str, Any]) -> dict[str, Any]:
        self.ratio(f"crossing: {name}", mine, found["median"], goal)
        trips, equity = self._answer
        same = found["trades"] == trips and abs(found["equities"][0] - equity) < CENT
        note = f"{found['trades']:,} round trips, equity {found['equities'][0]:,.2f}"
        self._report.say(f"{name}_equals_ours", float(same), "bool", note)
        return found

    def ratio(self, name: str, mine: str, theirs: float, goal: str, unit: str = "s") -> None:
        if mine not in self._ours:
            return
        ours = self._ours[mine]
        note = f"ours {ours:.4g} {unit}, theirs {theirs:.4g} {unit}" + (f", goal {goal} x" if goal else "")
        self._report.say(f"{name} over {mine}", theirs / ours, "x", note)


_PEERS, _NAUTILUS = "_backtest_peers.py", "_backtest_nautilus.py"


def _have(python: str, name: str) -> bool:
    if installed(python, name):
        return True
    print(f"{name}: skipped, not installed in {python}; `make peers` installs it")
    return False


def _save(path: Path, series: BarSeries) -> None:
    columns = dict(zip(("open", "high", "low", "close"), series.prices, strict=True))
    np.savez(path, volume=series.volume, **columns)
