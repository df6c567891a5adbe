"""A small regime model for research tests: two states, two features, bars of a minute unless said otherwise."""

from __future__ import annotations

import numpy as np

from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.scaler import Scaler

MINUTE = 60 * 10**9


def two_states(interval_ns: int = MINUTE, sd: float = 0.004) -> RegimeModel:
    spec = FeatureSpec(("log_return", "volatility"), volatility_window=5, volume_window=5)
    spreads = np.array([[[0.5, 0.0], [0.0, 0.5]], [[1.5, 0.0], [0.0, 0.5]]])
    emission = GaussianEmission("diag", np.array([[0.0, -0.7], [0.0, 0.7]]), spreads)
    hmm = GaussianHmm(np.array([0.5, 0.5]), np.array([[0.95, 0.05], [0.1, 0.9]]), emission)
    scaler = Scaler(np.array([0.0, float(np.log(sd))]), np.array([sd, 0.4]))
    return RegimeModel(hmm, scaler, spec, ("calm", "turbulent"), interval_ns)
