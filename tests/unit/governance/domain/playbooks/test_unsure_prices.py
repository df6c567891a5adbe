"""Prices a model cannot tell apart: found ahead, and just as confusing when they really come."""

from __future__ import annotations

import math

import numpy as np
import pytest

from governance.domain.playbooks import entropy_bits
from governance.domain.playbooks.unsure_prices import least_sure
from trading.domain.clock import interval_ns
from trading.domain.regime.errors import FeaturesRefused
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.filter import ClosedBar, RegimeFilter
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.scaler import Scaler

MINUTE = interval_ns("1m")
CALM, WILD = 0.0004, 0.003
"""Returns of a bar in either regime, as one standard deviation."""


def model() -> RegimeModel:
    """Regimes of fifty bars that lie far apart in the size of returns and in their volatility over ten bars."""
    unit, middle = 0.001, math.log(math.sqrt(CALM * WILD))
    mean = np.array([[0.0, math.log(CALM) - middle], [0.0, math.log(WILD) - middle]])
    covariances = np.array([np.diag([(sd / unit) ** 2, 0.25**2]) for sd in (CALM, WILD)])
    hmm = GaussianHmm(
        np.array([0.5, 0.5]),
        np.array([[0.98, 0.02], [0.02, 0.98]]),
        GaussianEmission("diag", mean, covariances),
    )
    scaler = Scaler(np.array([0.0, middle]), np.array([unit, 1.0]), 8.0)
    return RegimeModel(
        hmm, scaler, FeatureSpec(("log_return", "volatility"), 10, 48), ("calm", "turbulent"), MINUTE
    )


def take(running: RegimeFilter, last: float, close: float) -> float:
    """One more bar; how unsure the model is after it, bits."""
    at = running.close_ns + MINUTE if running.close_ns else MINUTE
    running.step(ClosedBar(at, max(last, close), min(last, close), close, 5.0, 2.5, 0.0))
    if running.posterior is None:
        return 0.0
    total = math.fsum(running.posterior)
    return entropy_bits(p / total for p in running.posterior)


def sure_of_calm() -> tuple[RegimeFilter, float]:
    running, price, rng = RegimeFilter(model(), "0" * 64), 100.0, np.random.default_rng(1)
    unsure = 1.0
    for _ in range(80):
        last, price = price, price * math.exp(rng.normal(0.0, CALM))
        unsure = take(running, last, price)
    assert unsure < 0.05
    return running, price


def test_the_planned_closes_keep_a_sure_model_unsure_when_they_come() -> None:
    running, price = sure_of_calm()
    before = running.state()
    plan = least_sure(running, last=price, anchor=price, volumes=[4.0, 6.0], bars=30)
    assert repr(running.state()) == repr(before), "it was only asked"
    assert max(abs(math.log(close / price)) for close in plan.closes) <= 0.02
    seen, last = [], price
    for close in plan.closes:
        seen.append(take(running, last, close))
        last = close
    assert seen == pytest.approx(plan.entropies, abs=1e-9)
    assert sum(seen[6:]) / len(seen[6:]) > 0.8, "two regimes have one bit at most"


def test_a_model_that_takes_no_close_refuses_instead_of_answering() -> None:
    running, price = sure_of_calm()
    with pytest.raises(FeaturesRefused):
        least_sure(running, last=price, anchor=price, volumes=[math.nan], bars=5)
