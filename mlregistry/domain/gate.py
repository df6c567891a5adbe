"""The gate a model passes before it may decide, trade or be put in force: every number, its limit, and what it said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from trading.domain.research.bootstrap import bootstrap_interval
from trading.domain.statistics import sharpe_ratio
from trading.domain.statistics.figures import FloatArray
from trading.domain.statistics.moments import sample_moments
from trading.domain.statistics.sharpe import deflated_sharpe, minimum_track_record

FEWEST_PERIODS: Final = 20
"""Fewer paired returns are not worth a bootstrap."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What the gate asks for; probabilities and shares as fractions.

    Attributes
    ----------
    difference : probability that the mean paired difference is above zero, by block bootstrap; 0.975 is the lower end
        of a 95 % interval above zero.
    deflated_sharpe : DSR, every recorded trial counted.  track_record : probability of the minimum length.
    positive_folds : share of the tests with a positive net Sharpe ratio.  trades : round trips out of sample.
    """

    trades: int = 30
    difference: float = 0.975
    deflated_sharpe: float = 0.95
    track_record: float = 0.95
    positive_folds: float = 0.6


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question. `measured` is None where it could not be measured: that does not pass."""

    name: str
    measured: float | None
    limit: float
    at_least: bool
    says: str

    @property
    def passed(self) -> bool:
        """Whether it was measured and lies on the right side of the limit."""
        if self.measured is None or not math.isfinite(self.measured):
            return False
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """What one version earned over the tests of a walk-forward, net of costs.

    Attributes
    ----------
    periods : (P,) returns over common periods.  folds : Sharpe ratio of each test, per bar; 0 without trades.
    trades : round trips.  total_return, max_drawdown : fractions over all tests.
    drawdown_99 : fraction it was under 99 % of the bars.
    """

    periods: FloatArray
    folds: tuple[float, ...]
    trades: int
    total_return: float
    max_drawdown: float
    drawdown_99: float = 0.0

    def members(self) -> dict[str, Any]:
        """Return its figures as JSON members."""
        ratio = sharpe_ratio(self.periods).value
        return {
            "sharpe_per_period": ratio,
            "total_return": self.total_return,
            "max_drawdown": self.max_drawdown,
            "drawdown_99": self.drawdown_99,
            "trades": self.trades,
            "folds": list(self.folds),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything the gate looks at; champion and challenger over the same bars.

    Attributes
    ----------
    challenger, champion : as the costs are.  A family without a champion is judged against holding nothing.
    dearer : (challenger, champion) at twice the fees and slippage.  later : one bar later.
    leaks : columns that knew the future in the truncation test.
    trials : effectively independent trials behind the challenger.  trials_variance : of their Sharpe ratios, per
        period; None where fewer than two are known.
    beats_flat : held-out gain of a two-clock model over a flat one, None for other models.
    """

    challenger: Walked
    champion: Walked
    dearer: tuple[Walked, Walked]
    later: tuple[Walked, Walked]
    leaks: int
    trials: float
    trials_variance: float | None
    beats_flat: float | None = None
    limits: GateLimits = field(default_factory=GateLimits)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The criteria in their order, and the figures behind them. All must pass."""

    criteria: tuple[Criterion, ...]
    figures: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every criterion passed; none is not a pass."""
        return bool(self.criteria) and all(one.passed for one in self.criteria)


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on a challenger.

    The variance of the trials is never taken to be smaller than that of one Sharpe ratio estimated from as many
    returns without skill, 1 / (n - 1): a family whose few trials happen to agree is not deflated less for it.

    Raises
    ------
    ValueError : returns of champion and challenger over different periods, or fewer than one trial.
    """
    limits, one, other = evidence.limits, evidence.challenger, evidence.champion
    pairs = ((one, other), evidence.dearer, evidence.later)
    if any(len(a.periods) != len(b.periods) for a, b in pairs):
        raise ValueError("expected champion and challenger over the same periods")
    difference = one.periods - other.periods
    n = len(difference)
    interval = None
    if n >= FEWEST_PERIODS and np.ptp(difference) > 0:
        interval = bootstrap_interval(
            difference, lambda x: float(x.mean()), np.random.default_rng(evidence.seed)
        )
    moments = sample_moments(one.periods)
    ratio = None if moments.flat or n < FEWEST_PERIODS else moments.mean / moments.sd
    deflated = length = None
    variance = max(evidence.trials_variance or 0.0, 1.0 / max(1, n - 1))
    if ratio is not None:
        deflated = deflated_sharpe(
            sr=ratio,
            trials_variance=variance,
            n_trials=evidence.trials,
            n=n,
            skew=moments.skew,
            kurt=moments.kurt,
        )
        length = minimum_track_record(
            sr=ratio,
            benchmark=0.0,
            skew=moments.skew,
            kurt=moments.kurt,
            probability=limits.track_record,
        ).value
    better = None if interval is None else interval.share_above_zero
    criteria = [
        Criterion("truncation_leaks", evidence.leaks, 0, False, "columns that knew the future"),
        Criterion("trades", one.trades, limits.trades, True, "round trips out of sample"),
        Criterion("difference", better, limits.difference, True, "probability of being better, by bootstrap"),
        Criterion(
            "deflated_sharpe",
            None if deflated is None else deflated.probability.value,
            limits.deflated_sharpe,
            True,
            f"probability of skill after {evidence.trials:.4g} trials",
        ),
        Criterion(
            "track_record",
            None if length is None else n,
            length or 0.0,
            True,
            "periods tested, against the minimum track record",
        ),
        Criterion(
            "positive_folds", _positive(one.folds), limits.positive_folds, True, "share of tests that earned"
        ),
        *_stressed("dearer", "at twice the costs", *evidence.dearer),
        *_stressed("later", "one bar later", *evidence.later),
    ]
    if evidence.beats_flat is not None:
        criteria.append(
            Criterion(
                "beats_flat",
                evidence.beats_flat,
                0.0,
                True,
                "held-out gain over a flat model, nats/1000 bars",
            )
        )
    figures = {
        "periods": n,
        "challenger": one.members(),
        "champion": other.members(),
        "difference": None
        if interval is None
        else {
            "mean": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "level": interval.level,
            "block": interval.block,
            "samples": interval.samples,
        },
        "trials": evidence.trials,
        "trials_variance": variance,
        "luck_sharpe": None if deflated is None else deflated.benchmark,
        "dearer": {"challenger": evidence.dearer[0].members(), "champion": evidence.dearer[1].members()},
        "later": {"challenger": evidence.later[0].members(), "champion": evidence.later[1].members()},
    }
    return Verdict(tuple(criteria), figures)


def _positive(folds: Sequence[float]) -> float | None:
    return float(np.mean([ratio > 0 for ratio in folds])) if folds else None


def _stressed(name: str, says: str, challenger: Walked, champion: Walked) -> tuple[Criterion, Criterion]:
    # A mean, not a test: the interval was asked at the costs as they are, this asks whether they are all there is.
    gain = float((challenger.periods - champion.periods).mean()) if len(challenger.periods) else None
    return (
        Criterion(f"{name}_return", challenger.total_return, 0.0, True, f"total return {says}"),
        Criterion(f"{name}_difference", gain, 0.0, True, f"mean difference {says}"),
    )
