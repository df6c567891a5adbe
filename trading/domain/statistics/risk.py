"""Market risk: value at risk, expected shortfall, their check against what happened, liquidation, exposure.

Losses are positive: VaR 0.034 means that a loss of 3.4 % is exceeded with probability 1 - level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics import normal
from trading.domain.statistics.figures import Figure, figure, finite_array, undefined

HISTORICAL_MINIMUM: Final = 500


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Value at risk and expected shortfall, as positive losses in the unit of the returns."""

    var: float
    es: float


def historical_tail(returns: ArrayLike, level: float) -> TailRisk:
    """Return VaR as the order statistic ceil(n a) of the losses, and ES by Rockafellar and Uryasev.

    ES = VaR + sum of max(L - VaR, 0) / (n (1 - a)), which is right also where n a is not whole.
    Source: Rockafellar & Uryasev (2000), J. Risk 2(3), 21-41.

    Raises
    ------
    ValueError : no observations, not finite, or a level not between 0 and 1.
    """
    _check_level(level)
    losses = np.sort(-finite_array(returns, "returns"))
    n = len(losses)
    if n == 0:
        raise ValueError("expected at least one return, were none")
    # n a is a whole number up to rounding (20 x 0.9 = 18.000000000000004 for some levels): do not step over.
    rank = max(1, math.ceil(n * level - 1e-9 * n))
    var = float(losses[rank - 1])
    es = var + float(np.maximum(losses - var, 0.0).sum()) / (n * (1.0 - level))
    return TailRisk(var, es)


def normal_tail(mean: float, sd: float, level: float) -> TailRisk:
    """Return VaR = -mean + sd z and ES = -mean + sd phi(z)/(1 - a) of a normal law.

    Raises
    ------
    ValueError : a negative sd, or a level not between 0 and 1.
    """
    _check_level(level)
    if not sd >= 0:
        raise ValueError(f"expected a standard deviation of zero or more, was {sd}")
    z = normal.quantile(level)
    return TailRisk(-mean + sd * z, -mean + sd * normal.density(z) / (1.0 - level))


def student_tail(mean: float, sd: float, nu: float, level: float) -> TailRisk:
    """Return VaR and ES of a Student law scaled to standard deviation `sd`, `nu` degrees of freedom.

    With t the quantile, f the density: ES = f(t) (nu + t^2) / ((nu - 1)(1 - a)), both times
    sd sqrt((nu - 2)/nu). Source: McNeil, Frey & Embrechts (2015), Quantitative Risk Management, ex. 2.15.

    Raises
    ------
    ValueError : nu not above 2 (no variance), a negative sd, or a level not between 0 and 1.
    """
    from scipy import stats  # half a second to import: only where a Student law is asked for

    _check_level(level)
    if not nu > 2:
        raise ValueError(f"expected more than 2 degrees of freedom, were {nu}")
    if not sd >= 0:
        raise ValueError(f"expected a standard deviation of zero or more, was {sd}")
    scale = sd * math.sqrt((nu - 2.0) / nu)
    t = float(stats.t.ppf(level, nu))
    es = float(stats.t.pdf(t, nu)) * (nu + t * t) / ((nu - 1.0) * (1.0 - level))
    return TailRisk(-mean + scale * t, -mean + scale * es)


def worse_tail(returns: ArrayLike, level: float, *, nu: float = 5.0) -> TailRisk:
    """Return the worse of the historical (from 500 observations) and the Student estimate, each of VaR and ES.

    Raises
    ------
    ValueError : fewer than two observations, or as the two estimates.
    """
    x = finite_array(returns, "returns")
    if len(x) < 2:
        raise ValueError(f"expected at least two returns, were {len(x)}")
    fitted = student_tail(float(x.mean()), float(x.std(ddof=1)), nu, level)
    if len(x) < HISTORICAL_MINIMUM:
        return fitted
    seen = historical_tail(x, level)
    return TailRisk(max(fitted.var, seen.var), max(fitted.es, seen.es))


@dataclass(frozen=True, slots=True)
class KupiecTest:
    """Likelihood ratio of "exceptions happen with probability p", chi-squared with one degree of freedom."""

    lr: float
    p_value: float


def kupiec_test(exceptions: int, n: int, p: float) -> KupiecTest:
    """Test whether a VaR was exceeded as often as it promised.

    LR = -2 ln[(1-p)^(n-x) p^x / ((1-f)^(n-x) f^x)], f = x/n. Both too many and too few count.
    Source: Kupiec (1995), J. Derivatives 3(2), 73-84.

    Raises
    ------
    ValueError : not 0 <= exceptions <= n, n = 0, or p not between 0 and 1.
    """
    if not (0 <= exceptions <= n and n > 0):
        raise ValueError(f"expected 0 <= exceptions <= n and n > 0, were {exceptions} and {n}")
    _check_level(p)

    def log_likelihood(q: float) -> float:
        some = exceptions * math.log(q) if exceptions else 0.0
        rest = (n - exceptions) * math.log1p(-q) if exceptions < n else 0.0
        return some + rest

    lr = max(0.0, 2.0 * (log_likelihood(exceptions / n) - log_likelihood(p)))
    return KupiecTest(lr, math.erfc(math.sqrt(lr / 2.0)))


def liquidation_price(
    *,
    side: int,
    quantity: Decimal,
    entry: Decimal,
    wallet: Decimal,
    maintenance_rate: Decimal,
    maintenance_amount: Decimal = Decimal(0),
) -> Decimal | None:
    """Return the mark price at which an isolated one-way USD-M position is liquidated.

    (wallet + maintenance amount - side q entry) / (q (rate - side)). None for a long whose wallet covers
    a fall to zero: it cannot be liquidated.

    Parameters
    ----------
    side : 1 long, -1 short.  quantity : positive, base.  wallet : isolated margin, quote.
    maintenance_rate, maintenance_amount : of the bracket at the liquidation notional, from the venue.

    Raises
    ------
    ValueError : another side, or numbers out of their ranges.

    Source: Binance, "How to calculate liquidation price of USD-M futures contracts".
    """
    if side not in (1, -1):
        raise ValueError(f"expected side 1 or -1, was {side}")
    if not (quantity > 0 and entry > 0 and 0 <= maintenance_rate < 1):
        raise ValueError("expected a positive quantity and entry, and a maintenance rate of 0 to 1")
    price = (wallet + maintenance_amount - side * quantity * entry) / (quantity * (maintenance_rate - side))
    return price if price > 0 else None


@dataclass(frozen=True, slots=True)
class Exposures:
    """Sums over positions in quote units, and as multiples of equity (undefined without equity)."""

    gross: Decimal
    net: Decimal
    gross_leverage: Figure
    net_leverage: Figure


def exposures(positions: Sequence[tuple[Decimal, Decimal]], equity: Decimal) -> Exposures:
    """Return gross and net exposure of (signed quantity, mark price) pairs.

    Raises
    ------
    ValueError : a mark price that is not positive.
    """
    notionals = []
    for quantity, mark in positions:
        if not mark > 0:
            raise ValueError(f"expected a positive mark price, was {mark}")
        notionals.append(quantity * mark)
    gross = sum((abs(value) for value in notionals), Decimal(0))
    net = sum(notionals, Decimal(0))
    if equity <= 0:
        none = undefined("there is no equity")
        return Exposures(gross, net, none, none)
    return Exposures(
        gross, net, figure(float(gross / equity), "too large"), figure(float(net / equity), "too large")
    )


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a probability between 0 and 1, was {level}")
