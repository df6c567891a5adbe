"""What trading costs: the net result of one perpetual round trip, and how much cost a result bears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading.domain.statistics.curve import periods_per_year
from trading.domain.statistics.figures import Figure, FloatArray, figure, finite_array, undefined
from trading.domain.statistics.sharpe import annualised, sharpe_ratio


@dataclass(frozen=True, slots=True)
class PerpetualResult:
    """One round trip in quote units: net = gross - fees + funding; `gross` is after slippage."""

    gross: float
    fees: float
    funding: float
    net: float


def perpetual_result(
    *,
    side: int,
    quantity: float,
    entry: float,
    exit_price: float,
    entry_fee: float,
    exit_fee: float,
    slippage_bps: float = 0.0,
    fundings: Sequence[tuple[float, float]] = (),
) -> PerpetualResult:
    """Return what a perpetual position earned, for research on arrays of prices (orders use `portfolio`).

    Parameters
    ----------
    side : 1 long, -1 short.  quantity : base.  entry, exit_price : before slippage, quote.
    entry_fee, exit_fee : fractions of the notional, e.g. 0.0005.
    slippage_bps : paid against us at both ends.
    fundings : (mark price, rate) at each funding time held through. A payment is
        -side * quantity * mark * rate: longs pay when the rate is positive.

    Raises
    ------
    ValueError : a side other than 1 and -1.
    """
    if side not in (1, -1):
        raise ValueError(f"expected side 1 or -1, was {side}")
    slip = slippage_bps / 1e4
    paid, got = entry * (1.0 + side * slip), exit_price * (1.0 - side * slip)
    gross = side * quantity * (got - paid)
    fees = quantity * (paid * entry_fee + got * exit_fee)
    funding = sum(-side * quantity * mark * rate for mark, rate in fundings)
    return PerpetualResult(gross, fees, funding, gross - fees + funding)


@dataclass(frozen=True, slots=True)
class CostStress:
    """The same trades at another cost.

    Attributes
    ----------
    factor : multiple of the costs paid.  total_return : fraction.  sharpe : annual.  max_drawdown : fraction.
    """

    factor: float
    total_return: float
    sharpe: Figure
    max_drawdown: float


def cost_stress(
    equity: FloatArray, costs: FloatArray, step_ns: int, factors: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 3.0)
) -> list[CostStress]:
    """Replay a curve with its costs multiplied; the trades themselves stay as they were.

    Each step's cost is taken as a fraction of equity before the step and scaled, so gains compound
    on what would have been left. Decisions that would change with the costs are not replayed: that takes
    a new backtest.

    Parameters
    ----------
    equity : (T,), net of costs.  costs : (T,), quote units paid in the step that ends at each point
        (fees, slippage and funding; a negative cost was earned); the first is zero.

    Raises
    ------
    ValueError : lengths differ, or equity not positive before its end.
    """
    values, paid = finite_array(equity, "equity"), finite_array(costs, "costs")
    if len(values) != len(paid) or len(values) < 2:
        raise ValueError(f"expected two points or more of both, were {len(values)} and {len(paid)}")
    if (values[:-1] <= 0).any():
        raise ValueError("expected positive equity before every return")
    net = values[1:] / values[:-1] - 1.0
    cost = paid[1:] / values[:-1]
    per_year = periods_per_year(step_ns)
    results = []
    for factor in factors:
        returns = np.maximum(net + (1.0 - factor) * cost, -1.0)  # nobody loses more than there is
        curve = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
        peak = np.maximum.accumulate(curve)
        deepest = float((1.0 - curve / peak).max())
        sharpe = annualised(sharpe_ratio(returns), per_year)
        results.append(CostStress(factor, float(curve[-1] - 1.0), sharpe, deepest))
    return results


def break_even_cost_bps(gross_profit: float, traded_notional: float) -> Figure:
    """Return the cost per traded notional, in bps, that would eat the profit before costs.

    Undefined when nothing was traded; 0 or less means that there was nothing to eat.
    """
    if traded_notional <= 0:
        return undefined("nothing was traded")
    return figure(gross_profit / traded_notional * 1e4, "too large")
