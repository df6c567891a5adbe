"""Optimal quotes around a middle price: Avellaneda & Stoikov, and Gueant, Lehalle & Fernandez-Tapia.

Units are the caller's, used throughout: prices in p (a currency, or basis points of the middle), time in t, sigma in
p per sqrt(t), gamma (risk aversion) in 1 / p per unit of inventory, and fills that arrive at rate
A exp(-k depth) with A in 1 / t and k in 1 / p. Inventory q is counted in lots, positive is long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trading.domain.regime.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Reservation:
    """Avellaneda-Stoikov quotes: the price at which one is indifferent, and the total spread around it."""

    price: float
    spread: float

    @property
    def bid(self) -> float:
        """Half the spread below the reservation price."""
        return self.price - self.spread / 2.0

    @property
    def ask(self) -> float:
        """Half the spread above the reservation price."""
        return self.price + self.spread / 2.0


def reservation_quotes(
    mid: float, inventory: float, gamma: float, sigma: float, decay: float, remaining: float
) -> Reservation:
    """Return r = s - q gamma sigma^2 tau and the spread gamma sigma^2 tau + (2 / gamma) ln(1 + gamma / k).

    Source: Avellaneda & Stoikov (2008), Quant. Finance 8, 217-224, equations 29 and 30.
    """
    risk = gamma * sigma * sigma * remaining
    return Reservation(mid - inventory * risk, risk + 2.0 * _premium(gamma, decay))


def stationary_depths(
    inventory: float, gamma: float, sigma: float, arrival: float, decay: float
) -> tuple[float, float]:
    """Return bid and ask depth of the closed form for a far horizon and a small spread of inventories.

    It drifts from the exact solution near the inventory limit.

    Source: Gueant, Lehalle & Fernandez-Tapia (2013), Math. Financ. Econ. 7, 477-507, section 4.
    """
    # As exponent times log1p: (1 + x)^(1 + 1/x) loses digits for a small x.
    grown = math.exp((1.0 + decay / gamma) * math.log1p(gamma / decay))
    slope = math.sqrt(sigma * sigma * gamma / (2.0 * decay * arrival) * grown)
    premium = _premium(gamma, decay)
    return premium + (2.0 * inventory + 1.0) / 2.0 * slope, premium - (2.0 * inventory - 1.0) / 2.0 * slope


def exact_depths(
    limit: int, gamma: float, sigma: float, arrival: float, decay: float, remaining: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return bid and ask depths for inventories -limit..limit, each (2 limit + 1,).

    v = exp(-M tau) 1 with M tridiagonal, alpha q^2 on the diagonal and -eta beside it, alpha = k gamma sigma^2 / 2,
    eta = A (1 + gamma / k)^-(1 + k / gamma); bid depth (1 / k) ln(v_q / v_q+1) + (1 / gamma) ln(1 + gamma / k).
    M is symmetric, so that one eigen-decomposition gives the exponential exactly. At the limits the side that would
    pass it is inf.

    Raises
    ------
    ValueError : parameters so extreme that v vanishes in floating point.

    Source: Gueant, Lehalle & Fernandez-Tapia (2013), theorem 1.
    """
    import numpy as np

    alpha = decay * gamma * sigma * sigma / 2.0
    eta = arrival * math.exp(-(1.0 + decay / gamma) * math.log1p(gamma / decay))
    inventories = np.arange(-limit, limit + 1, dtype=np.float64)
    matrix = np.diag(alpha * inventories**2)
    beside = np.arange(2 * limit)
    matrix[beside, beside + 1] = matrix[beside + 1, beside] = -eta
    values, vectors = np.linalg.eigh(matrix)
    # Only ratios of v matter: without its smallest eigenvalue the exponential cannot overflow.
    v: FloatArray = vectors @ (np.exp(-(values - values[0]) * remaining) * vectors.sum(axis=0))
    if not (np.isfinite(v).all() and (v > 0.0).all()):
        raise ValueError("no quotes in floating point for so much risk aversion, volatility or inventory")
    steps = np.log(v[:-1] / v[1:]) / decay
    premium = _premium(gamma, decay)
    bids = (*(float(step) + premium for step in steps), math.inf)
    asks = (math.inf, *(premium - float(step) for step in steps))
    return bids, asks


def _premium(gamma: float, decay: float) -> float:
    # What a monopolist asks beside the risk: (1 / gamma) ln(1 + gamma / k).
    return math.log1p(gamma / decay) / gamma
