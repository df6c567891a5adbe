"""Training a two-clock model from fast bars to artefact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlregistry.domain.lineage import data_lineage, histograms
from mlregistry.domain.recipes import FEWEST_ROWS, HIERARCHICAL, DataSource, HierarchicalRecipe
from mlregistry.domain.study import Progress, Step, TrainedModel
from trading.domain.clock import interval_ns
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.artefact import Artefact
from trading.domain.regime.drift import score_reference
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.features import BarColumns, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.fitting import FitRecipe, fit_best
from trading.domain.regime.model import expected_durations
from trading.domain.regime.order import state_names
from trading.domain.regime.resample import TwoClockRows, align_clocks, slow_bars
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.two_clock_em import TwoClockFit, begin_two_clock, fit_two_clock, two_clock_findings
from trading.domain.regime.two_clock_filter import TwoClockModel

FEWEST_SLOW_ROWS = 60


@dataclass(frozen=True, slots=True)
class Comparison:
    """Held-out log scores of the fast bars, nats per 1000 bars; the two-clock model must win to trade."""

    bars: int
    two_clock: float
    flat: float

    @property
    def gain(self) -> float:
        return self.two_clock - self.flat

    def members(self) -> dict[str, Any]:
        return {"bars": self.bars, "two_clock": self.two_clock, "flat": self.flat, "gain": self.gain}


def train_hierarchical(
    bars: BarColumns, recipe: HierarchicalRecipe, source: DataSource, *, progress: Progress | None = None
) -> TrainedModel:
    """Train a two-clock HMM; slow bars are made of the fast ones.

    Before the final fit it is fitted to the first part of the bars and compared on the rest with a flat HMM of
    as many states as it has micro states; the comparison is part of the lineage.

    Raises
    ------
    FeaturesRefused : bars from which the features cannot be computed.
    FitRefused : too few rows, constant features, or a fit that is degenerate; the message says in what.
    ValueError : the recipe contradicts itself.
    """
    slow_ns = interval_ns(recipe.slow_interval)
    fast = feature_matrix(bars, recipe.features, machine_code=True)
    slow = feature_matrix(slow_bars(bars, slow_ns), recipe.slow_features, machine_code=True)
    rows = align_clocks(fast, slow, bars.interval_ns, slow_ns)
    if rows.fast_seen.sum() < FEWEST_ROWS or rows.slow_seen.sum() < FEWEST_SLOW_ROWS:
        raise FitRefused(
            f"{int(rows.fast_seen.sum())} fast and {int(rows.slow_seen.sum())} slow rows are too few; "
            f"at least {FEWEST_ROWS} and {FEWEST_SLOW_ROWS} are needed"
        )
    total = 2 * recipe.rounds

    def tell(stage: str, before: int, round_: int, value: float) -> None:
        if progress is not None:
            progress(Step(stage, min(total, before + round_), total, round_, value))

    first, rest = rows.split(int(len(rows.fast) * (1.0 - recipe.held_out)))
    trial = _Fitted.of(first, recipe, lambda n, v: tell("comparing with the flat model", 0, n, v))
    comparison = _compare(trial, first, rest, recipe)
    fitted = _Fitted.of(rows, recipe, lambda n, v: tell("fitting", recipe.rounds, n, v))
    findings = two_clock_findings(fitted.fit)
    if findings:
        raise FitRefused(f"the fit is degenerate: {'; '.join(map(str, findings))}")
    model = TwoClockModel(
        fitted.fit.hmm,
        fitted.scaler,
        recipe.features,
        fitted.slow_scaler,
        recipe.slow_features,
        state_names(recipe.macros),
        tuple(f"micro_{name}" for name in state_names(recipe.micros)),
        bars.interval_ns,
        slow_ns,
    )
    series = fitted.filter(rows)
    scores = series.fast_scores[rows.fast_seen]
    data_rows = data_lineage(bars, source, fast.lengths)
    free = fitted.fit.hmm.free_parameters()
    bic = -2.0 * fitted.fit.log_likelihood + free * float(np.log(rows.fast_seen.sum()))
    lineage = {
        "model": HIERARCHICAL,
        **data_rows,
        "slow_rows": int(rows.slow_seen.sum()),
        "recipe": recipe.members(),
        "states": recipe.macros,
        "micro_states": recipe.micros,
        "log_likelihood": fitted.fit.log_likelihood,
        "bic": bic,
        "trace": list(fitted.fit.trace),
        "converged": fitted.fit.converged,
        "visits": [float(visits) for visits in fitted.fit.macro_visits],
        "micro_visits": [float(visits) for visits in fitted.fit.micro_visits],
        "held_out": comparison.members(),
    }
    reference = score_reference(scores, bars_between_alarms=recipe.bars_between_alarms, seed=recipe.seed)
    bins = dict(histograms(rows.fast[rows.fast_seen], recipe.features.names))
    slow_bins = histograms(rows.slow[rows.slow_seen], recipe.slow_features.names)
    bins |= {f"slow.{name}": found for name, found in slow_bins.items()}
    return TrainedModel(
        HIERARCHICAL,
        Artefact(model, reference, bins, lineage),
        fitted.fit.log_likelihood,
        fitted.fit.trace,
        tuple(float(stay) for stay in expected_durations(fitted.fit.hmm.chain.macro_transition)),
        tuple(float(visits) for visits in fitted.fit.macro_visits),
        bic,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    fit: TwoClockFit
    scaler: Scaler
    slow_scaler: Scaler

    @classmethod
    def of(cls, rows: TwoClockRows, recipe: HierarchicalRecipe, report: Any) -> _Fitted:
        names, slow_names = recipe.features.names, recipe.slow_features.names
        scaler = recipe.scaling.fit(rows.fast[rows.fast_seen], names)
        slow_scaler = recipe.scaling.fit(rows.slow[rows.slow_seen], slow_names)
        z, slow_z = scaler.apply(rows.fast), slow_scaler.apply(rows.slow)
        wanted = recipe.two_clock()
        begin = begin_two_clock(z[rows.fast_seen], slow_z[rows.slow_seen], names, slow_names, wanted)
        fit = fit_two_clock(
            z,
            slow_z,
            rows.closes,
            begin,
            names,
            slow_names,
            wanted,
            fast_seen=rows.fast_seen,
            slow_seen=rows.slow_seen,
            progress=report,
        )
        return cls(fit, scaler, slow_scaler)

    def filter(self, rows: TwoClockRows) -> Any:
        return self.fit.hmm.filter(
            self.scaler.apply(rows.fast),
            self.slow_scaler.apply(rows.slow),
            rows.closes,
            rows.fast_seen,
            rows.slow_seen,
        )


def _compare(
    trial: _Fitted, first: TwoClockRows, rest: TwoClockRows, recipe: HierarchicalRecipe
) -> Comparison:
    # Both are filtered through the first part, so that neither starts the second from its start distribution.
    both = TwoClockRows(
        *(np.concatenate((getattr(first, name), getattr(rest, name))) for name in _ROW_FIELDS)
    )
    ahead = np.arange(len(both.fast)) >= len(first.fast)
    wanted = both.fast_seen & ahead
    two_clock = float(trial.filter(both).fast_scores[wanted].mean())
    z: FloatArray = trial.scaler.apply(both.fast[both.fast_seen])
    known = int(first.fast_seen.sum())
    flat = fit_best(
        z[:known], recipe.features.names, FitRecipe(recipe.micros, recipe.kind, recipe.restarts, recipe.seed)
    )
    _, scores = filter_series(flat.fit.hmm, z, machine_code=True)
    return Comparison(int(wanted.sum()), 1000.0 * two_clock, 1000.0 * float(scores[known:].mean()))


_ROW_FIELDS = ("fast", "fast_seen", "closes", "slow", "slow_seen")
