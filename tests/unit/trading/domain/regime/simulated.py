"""Series with known truth: Markov chains with normal emissions, and bars built from returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trading.domain.clock import interval_ns
from trading.domain.regime.arrays import FloatArray, IntArray
from trading.domain.regime.features import BarColumns
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm

DATA = Path(__file__).resolve().parents[4] / "data"
REAL = Path(__file__).resolve().parents[5].parent / "shared/data"
HOUR_NS = interval_ns("1h")
T0_NS = (
    1_700_002_800_000_000_000 + HOUR_NS - 1_000_000
)  # the close of the bar that opened 2023-11-14 23:00 UTC

# The two simulated markets that the figures in docs/MODELS.md come from; states in order of volatility.
TWO = GaussianHmm(
    np.array([5 / 7, 2 / 7]),
    np.array([[0.98, 0.02], [0.05, 0.95]]),
    GaussianEmission("diag", np.array([[0.0008], [-0.0010]]), np.array([[[0.010**2]], [[0.030**2]]])),
)
THREE = GaussianHmm(
    np.array([0.375, 2 / 7, 0.339285714285714302]),
    np.array([[0.96, 0.02, 0.02], [0.03, 0.95, 0.02], [0.03, 0.02, 0.95]]),
    GaussianEmission(
        "diag", np.array([[0.0], [0.0012], [-0.0010]]), np.array([[[0.006**2]], [[0.011**2]], [[0.020**2]]])
    ),
)


def case(number: str) -> dict[str, Any]:
    """One of the published or independently computed cases, by its id."""
    cases = json.loads((DATA / "science_cases.json").read_text())
    return next(one for one in cases if one["id"] == number)


def simulate(hmm: GaussianHmm, rows: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Draw (T, D) observations and the (T,) states behind them."""
    rng = np.random.default_rng(seed)
    draws, cumulative = rng.random(rows), np.cumsum(hmm.transition, axis=1)
    states = np.empty(rows, dtype=np.int64)
    states[0] = np.searchsorted(np.cumsum(hmm.start), draws[0])
    for t in range(1, rows):
        states[t] = min(hmm.states - 1, np.searchsorted(cumulative[states[t - 1]], draws[t]))
    roots = np.linalg.cholesky(hmm.emission.covariances)
    noise = rng.normal(size=(rows, hmm.emission.features))
    return hmm.emission.means[states] + np.einsum("tij,tj->ti", roots[states], noise), states


def standardised(x: FloatArray) -> FloatArray:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def bars(rows: int, seed: int = 0, *, start_ns: int = T0_NS, step_ns: int = HOUR_NS) -> BarColumns:
    """Hourly bars of a random walk with changing volatility, with taker volume and funding."""
    rng = np.random.default_rng(seed)
    wild = np.repeat(rng.choice([0.003, 0.01], size=rows // 20 + 1), 20)[:rows]
    close = 100.0 * np.exp(np.cumsum(rng.normal(size=rows) * wild))
    high = close * np.exp(np.abs(rng.normal(size=rows)) * wild)
    low = close * np.exp(-np.abs(rng.normal(size=rows)) * wild)
    volume = np.exp(rng.normal(3.0, 0.5, size=rows))
    return BarColumns(
        start_ns + step_ns * np.arange(rows, dtype=np.int64),
        step_ns,
        high,
        low,
        close,
        volume,
        volume * rng.random(rows),
        rng.normal(0.0, 1e-4, size=rows),
    )
