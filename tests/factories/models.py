"""Trained models for tests: small, valid, told apart by a seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.unit.trading.domain.regime.simulated import THREE, simulate
from trading.domain.regime.artefact import EncodedArtefact, encode
from trading.domain.regime.features import BarColumns, FeatureSpec

HOUR_NS = 3_600_000_000_000


def planted_bars(rows: int = 600, seed: int = 12) -> BarColumns:
    """Hourly bars of the planted three-state market."""
    returns, _ = simulate(THREE, rows, seed=seed)
    close = 20_000.0 * np.exp(np.cumsum(returns[:, 0]))
    opened = np.concatenate(([20_000.0], close[:-1]))
    high, low = np.maximum(opened, close) * 1.0005, np.minimum(opened, close) * 0.9995
    close_ns = 1_672_531_200_000_000_000 + HOUR_NS * (np.arange(rows, dtype=np.int64) + 1) - 1_000_000
    volume = np.exp(np.random.default_rng(seed).normal(3.0, 0.4, size=rows))
    return BarColumns(close_ns, HOUR_NS, high, low, close, volume, np.empty(0))


@cache
def trained_artefact(seed: int = 0, symbol: str = "BTCUSDT") -> EncodedArtefact:
    """A two-state model trained on planted bars; another seed is other data and another digest."""
    from mlregistry.domain.recipes import DataSource, HmmRecipe
    from mlregistry.domain.study import train_hmm

    recipe = HmmRecipe(
        states=2, candidates=(2,), kind="diag", features=FeatureSpec(("log_return",)), restarts=1
    )
    trained = train_hmm(planted_bars(seed=seed + 12), recipe, DataSource(symbol, "spot", "1h", "0" * 64))
    return encode(trained.artefact)
