"""How much of the time and of the capital was at work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.curve import YEAR_NS, EquityCurve
from trading.domain.statistics.figures import Figure, figure, finite_array, undefined


@dataclass(frozen=True, slots=True)
class Activity:
    """Attributes
    ----------
    time_in_market : share of points with a position.
    mean_leverage, max_leverage : |exposure| / equity over all points, flat ones included.
    turnover : traded notional over mean equity, both sides counted.
    annual_turnover : turnover per year of 365 days.
    """

    time_in_market: Figure
    mean_leverage: Figure
    max_leverage: Figure
    turnover: Figure
    annual_turnover: Figure


def activity_figures(
    curve: EquityCurve, exposure: ArrayLike | None = None, traded_notional: float | None = None
) -> Activity:
    """Return how active an account was.

    Parameters
    ----------
    exposure : (T,), signed notional at mark price at each point, quote units.
    traded_notional : sum of |quantity x price| over all fills, quote units.

    Raises
    ------
    ValueError : exposure of another length, not finite, or a negative notional.
    """
    in_market = mean_leverage = max_leverage = undefined("the positions were not recorded")
    if exposure is not None:
        held = np.abs(finite_array(exposure, "exposure"))
        if len(held) != len(curve.equity):
            raise ValueError(f"expected {len(curve.equity)} exposures, were {len(held)}")
        in_market = Figure(float(np.mean(held > 0)))
        # A ruined account has no equity at its last point to relate the exposure to.
        alive = curve.equity > 0
        leverage = held[alive] / curve.equity[alive]
        mean_leverage = figure(float(leverage.mean()), "too large")
        max_leverage = figure(float(leverage.max()), "too large")
    turnover = annual = undefined("the fills were not recorded")
    if traded_notional is not None:
        if not traded_notional >= 0:
            raise ValueError(f"expected a notional of zero or more, was {traded_notional}")
        turnover = figure(traded_notional / float(curve.equity.mean()), "too large")
        annual = (
            figure((turnover.value or 0.0) * YEAR_NS / curve.span_ns, "too large")
            if curve.span_ns > 0
            else undefined("needs at least two points")
        )
    return Activity(in_market, mean_leverage, max_leverage, turnover, annual)
