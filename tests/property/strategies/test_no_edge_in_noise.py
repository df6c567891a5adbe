"""On returns without any structure a decision at bar t earns nothing at bar t + 1, whatever the strategy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.property.strategies.streams import busy
from tests.unit.trading.domain.strategies.regimes import bars_of, run

SERIES, LENGTH = 60, 260


@pytest.mark.parametrize("name", ["moving_average", "trend_follow", "hmm_policy", "ma_hmm_ensemble"])
def test_the_mean_sharpe_over_many_noise_series_is_zero_within_its_error(name: str, tmp_path: Path) -> None:
    strategy, params = busy(name, tmp_path)
    sharpes = []
    for seed in range(SERIES):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, LENGTH)
        said, _ = run(strategy, params, bars_of(returns.tolist()))
        held, target = np.zeros(LENGTH), 0.0
        for at, desired in enumerate(said):
            target = target if desired is None else desired.target
            held[at] = target
        # What is decided at the close of bar t is held over bar t + 1.
        earned = held[:-1] * returns[1:]
        if earned.std() > 0.0:
            sharpes.append(earned.mean() / earned.std())
    assert len(sharpes) >= 50
    error = float(np.std(sharpes, ddof=1)) / math.sqrt(len(sharpes))
    assert abs(float(np.mean(sharpes))) <= 3.0 * error
