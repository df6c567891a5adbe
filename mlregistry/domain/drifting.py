"""What a model's own references say of the bars since: stability of features, time in each state, log scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlregistry.domain.occupancy import Occupancy, occupancy_of
from trading.domain.regime.arrays import FloatArray, IntArray
from trading.domain.regime.artefact import Artefact
from trading.domain.regime.drift import (
    PSI_ALARM,
    Drift,
    ScoreReference,
    bin_counts,
    cusum_step,
    population_stability,
    psi_verdict,
)
from trading.domain.regime.features import BarColumns, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.resample import align_clocks, slow_bars

WINDOW: Final = 500
"""Rows of the stability index: ten bins of fewer rows differ by chance alone, by about 9/n."""
FEWEST: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the filter said of a series, bars without an observation left out.

    Attributes
    ----------
    close_ns : (N,).  features : (N, D), in their own units.  states : (N, K) filtered.  scores : (N,) nats.
    """

    close_ns: IntArray
    features: FloatArray
    states: FloatArray
    scores: FloatArray

    def first(self, rows: int) -> Scored:
        """Return the first so many rows: what was known then."""
        return Scored(self.close_ns[:rows], self.features[:rows], self.states[:rows], self.scores[:rows])


@dataclass(frozen=True, slots=True)
class Shape:
    """How the newest rows lie beside the training rows; empty with too few rows.

    Attributes
    ----------
    psi : by feature.  occupancy : by state, (share of the training's expected visits, share now).
    states : the index of that occupancy and its bounds; None with too few rows.
    """

    rows: int
    psi: Mapping[str, float]
    occupancy: Mapping[str, tuple[float, float]]
    states: Occupancy | None = None

    @property
    def verdict(self) -> Drift:
        """The worst of the features' and the states'."""
        order = (Drift.STABLE, Drift.WATCH, Drift.ALARM)
        found = [psi_verdict(value) for value in self.psi.values()]
        if self.states is not None:
            found.append(self.states.verdict)
        return max(found, key=order.index, default=Drift.STABLE)

    def alarms(self) -> dict[str, str]:
        """What is in alarm, by the name of its measure: a sentence of each."""
        told = {
            f"psi {name}": f"the stability index of {name} is {value:.3f}, above {PSI_ALARM:g}"
            for name, value in self.psi.items()
            if psi_verdict(value) == Drift.ALARM
        }
        if self.states is not None and self.states.verdict == Drift.ALARM:
            told["occupancy"] = (
                f"the index of the time in each state is {self.states.index:.3f}, above {self.states.alarm:.3f}"
            )
        return told


@dataclass(frozen=True, slots=True)
class Control:
    """The CUSUM over some bars: the level after them, the highest, and how often it alarmed; it restarts then."""

    level: float
    peak: float
    alarms: int


def scored(artefact: Artefact, bars: BarColumns) -> Scored:
    """Return what a model's filter says of bars, begun anew before them.

    Raises
    ------
    FeaturesRefused : bars from which the features cannot be computed.  DegenerateFilter : no state explains one.
    """
    model = artefact.model
    fast = feature_matrix(bars, model.features)
    if isinstance(model, RegimeModel):
        states, scores = filter_series(model.hmm, model.scaler.apply(fast.x), fast.lengths)
        return Scored(fast.close_ns, fast.x, states, scores)
    slow = feature_matrix(slow_bars(bars, model.slow_interval_ns), model.slow_features)
    rows = align_clocks(fast, slow, model.interval_ns, model.slow_interval_ns)
    series = model.hmm.filter(
        model.scaler.apply(rows.fast),
        model.slow_scaler.apply(rows.slow),
        rows.closes,
        rows.fast_seen,
        rows.slow_seen,
    )
    seen = rows.fast_seen
    return Scored(fast.close_ns, fast.x, series.macro[seen], series.fast_scores[seen])


def shape_of(artefact: Artefact, rows: Scored) -> Shape:
    """Compare the newest rows with the training's histograms and visits."""
    count = min(WINDOW, len(rows.scores))
    if count < FEWEST:
        return Shape(count, {}, {})
    names, newest = artefact.model.features.names, rows.features[-count:]
    psi = {}
    for at, name in enumerate(names):
        edges, expected = artefact.histograms[name]
        psi[name] = population_stability(expected, bin_counts(newest[:, at], edges))
    visits = np.asarray(artefact.lineage["visits"], dtype=np.float64)
    trained, now = visits / visits.sum(), rows.states[-count:].mean(axis=0)
    occupancy = {
        label: (float(before), float(after))
        for label, before, after in zip(artefact.model.labels, trained, now, strict=True)
    }
    return Shape(count, psi, occupancy, occupancy_of(artefact, rows.states[-count:]))


def control(reference: ScoreReference, scores: Sequence[float], level: float) -> Control:
    """Carry the CUSUM of the log score on over further bars."""
    peak, alarms = level, 0
    for score in scores:
        level = cusum_step(level, reference.standardised(score), reference.slack)
        peak = max(peak, level)
        if level > reference.threshold:
            alarms, level = alarms + 1, 0.0
    return Control(level, peak, alarms)
