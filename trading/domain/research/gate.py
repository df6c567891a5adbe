"""The gate a backtest has to pass before its strategy may be put forward for promotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.domain.statistics.figures import FloatArray
from trading.domain.statistics.sharpe import sharpe_ratio


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Defaults of the promotion gate; probabilities and shares as fractions."""

    deflated_sharpe: float = 0.95
    overfitting: float = 0.2
    positive_paths: float = 0.6


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question of the gate. `measured` is None where it could not be measured: that does not pass."""

    name: str
    measured: float | None
    limit: float
    at_least: bool

    @property
    def passed(self) -> bool:
        if self.measured is None:
            return False
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def positive_share(paths: FloatArray) -> float:
    """Return the share of paths, shape (paths, T), with a positive Sharpe ratio; none counts as not positive."""
    return float(np.mean([(sharpe_ratio(path).value or 0.0) > 0 for path in paths]))


def promotion_gate(
    *,
    deflated: float | None,
    overfitting: float | None,
    positive_paths: float | None,
    days: float,
    min_track_record_days: float | None,
    limits: GateLimits | None = None,
) -> tuple[Criterion, ...]:
    """Return the criteria: all must pass. What is missing fails.

    Parameters
    ----------
    deflated : DSR.  overfitting : PBO.  positive_paths : share of CPCV paths with a positive net Sharpe.
    days : length of the record.  min_track_record_days : MinTRL against a Sharpe ratio of 0.
    """
    limits = limits or GateLimits()
    length = None if min_track_record_days is None else days
    return (
        Criterion("deflated_sharpe", deflated, limits.deflated_sharpe, True),
        Criterion("overfitting", overfitting, limits.overfitting, False),
        Criterion("positive_paths", positive_paths, limits.positive_paths, True),
        Criterion("track_record_days", length, min_track_record_days or 0.0, True),
    )
