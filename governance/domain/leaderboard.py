"""Strategies ranked by what their returns prove, not by what they happened to make.

Each has a Sharpe ratio with an interval of a block bootstrap, wide enough to hold for all of them at once, and the
probability that its true ratio is above zero although it is the best of so many. The lower end of the interval ranks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from governance.domain.allocation.methods import YEAR_S
from trading.domain.research.bootstrap import bootstrap_interval, mean_over_sd
from trading.domain.statistics.drawdown import max_drawdown
from trading.domain.statistics.moments import sample_moments
from trading.domain.statistics.sharpe import deflated_sharpe, sharpe_ratio

LEAST = 48
ACTIVE = 30
"""Returns other than zero. With fewer, most resamples of a bootstrap draw hardly any, and one win looks like proof."""
LEVEL = 0.95
_SPREAD = 1e-3
"""A deviation below this part of the mean is no risk measured: a ratio of a thousand per period is an error of data."""
SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Ranked:
    """One strategy.

    Attributes
    ----------
    rank : 1 is the best; None where too little is known.  periods : returns it rests on.
    total : sum of the returns, over the strategy's own capital.  deepest : largest fall of 1 + their running sum.
    sharpe, low, high : a year's; the interval holds for all ranked strategies together with probability `LEVEL`.
    probability : that its true ratio is above zero, deflated for being one of so many.
    verdict : in words.
    """

    strategy: str
    rank: int | None
    periods: int
    total: float
    deepest: float
    sharpe: float | None
    low: float | None
    high: float | None
    probability: float | None
    verdict: str


def leaderboard(histories: Mapping[str, Sequence[float]], *, period_s: float) -> tuple[Ranked, ...]:
    """Rank strategies by their returns per period, oldest first; those of whom too little is known come last.

    Raises
    ------
    ValueError : a return that is not finite, or no period.
    """
    if not period_s > 0:
        raise ValueError(f"expected a period above zero, was {period_s}")
    rows = tuple((name, tuple(float(value) for value in histories[name])) for name in sorted(histories))
    return _ranked(rows, period_s)


@lru_cache(maxsize=8)
def _ranked(rows: tuple[tuple[str, tuple[float, ...]], ...], period_s: float) -> tuple[Ranked, ...]:
    scale = math.sqrt(YEAR_S / period_s)
    known = {name: np.array(values) for name, values in rows if not _unknown(values)}
    ratios = {name: mean_over_sd(values) for name, values in known.items()}
    variance = float(np.var(list(ratios.values()), ddof=1)) if len(ratios) > 1 else 0.0
    # An interval each of this width misses none of them more often than one of LEVEL misses one (Bonferroni).
    level = 1 - (1 - LEVEL) / max(1, len(known))
    found: list[Ranked] = []
    for name, plain in rows:
        values = np.array(plain)
        curve = 1.0 + np.cumsum(values) if len(values) else np.ones(1)
        deepest = max_drawdown(np.concatenate(([1.0], curve))) if (curve > 0).all() else 1.0
        total = float(values.sum()) if len(values) else 0.0
        if name not in known:
            why = _unknown(plain)
            found.append(Ranked(name, None, len(plain), total, deepest, None, None, None, None, why))
            continue
        interval = bootstrap_interval(
            values, mean_over_sd, np.random.default_rng(len(values)), samples=SAMPLES, level=level
        )
        shape = sample_moments(values)
        deflated = deflated_sharpe(
            sr=ratios[name],
            trials_variance=variance,
            n_trials=len(known),
            n=len(values),
            skew=shape.skew,
            kurt=shape.kurt,
        )
        low, high = interval.low * scale, interval.high * scale
        verdict = "above zero" if low > 0 else "below zero" if high < 0 else "not told apart from zero"
        found.append(
            Ranked(
                name, 0, len(plain), total, deepest, ratios[name] * scale, low, high,
                deflated.probability.value, verdict,
            )
        )  # fmt: skip
    return _numbered(found)


def _unknown(values: Sequence[float]) -> str:
    """Why returns prove nothing yet; "" where they may."""
    if len(values) < LEAST:
        return f"{len(values)} returns of the {LEAST} it takes"
    if sharpe_ratio(values).value is None or np.std(values) < _SPREAD * abs(float(np.mean(values))):
        return "its returns do not vary"
    moved = sum(value != 0 for value in values)
    if moved < ACTIVE:
        return f"{moved} returns other than zero of the {ACTIVE} it takes"
    return ""


def _numbered(found: list[Ranked]) -> tuple[Ranked, ...]:
    ranked = sorted(
        (row for row in found if row.low is not None), key=lambda row: (-(row.low or 0.0), row.strategy)
    )
    best = ranked[0] if ranked else None
    numbered = []
    for number, row in enumerate(ranked, start=1):
        verdict = row.verdict
        if best is not None and row is not best:
            behind = (row.high or 0.0) < (best.low or 0.0)
            verdict += f"; {'worse than' if behind else 'may be as good as'} {best.strategy}"
        numbered.append(
            Ranked(
                row.strategy, number, row.periods, row.total, row.deepest, row.sharpe, row.low, row.high,
                row.probability, verdict,
            )
        )  # fmt: skip
    return (*numbered, *(row for row in found if row.low is None))
