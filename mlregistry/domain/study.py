"""Training a flat model from bars to artefact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mlregistry.domain.hmmlearn_trainer import HmmlearnTrainer
from mlregistry.domain.lineage import data_lineage, histograms
from mlregistry.domain.recipes import FEWEST_ROWS, HMM, DataSource, HmmRecipe
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.artefact import Artefact
from trading.domain.regime.drift import score_reference
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.features import BarColumns, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.fitting import BestFit, EmTrainer, Trainer, fit_best
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.order import match_states, served_names, state_names
from trading.domain.regime.selection import Selection, select_states
from trading.domain.regime.smoothing import icl


@dataclass(frozen=True, slots=True)
class Step:
    """Where a training run is: fits done of how many, and the likelihood of the running one."""

    stage: str
    done: int
    total: int
    iteration: int = 0
    log_likelihood: float | None = None


Progress = Callable[[Step], None]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A trained model and how it came about.

    Attributes
    ----------
    name : which model.  selection : None where the number of states was given.
    trace : log likelihood of each EM iteration of the winning start.
    durations : expected bars in each state once entered; slow bars for the macro states of a two-clock model.
    bic_by_states : of a fit to all rows with each candidate number of states, None where that was refused; in
        sample, beside the choice.
    """

    name: str
    artefact: Artefact
    log_likelihood: float
    trace: tuple[float, ...]
    durations: tuple[float, ...]
    visits: tuple[float, ...]
    bic: float
    selection: Selection | None = None
    bic_by_states: tuple[tuple[int, float | None], ...] = ()

    def metrics(self) -> dict[str, Any]:
        """Return the figures the registry keeps beside the artefact, as JSON members."""
        return {
            "log_likelihood": self.log_likelihood,
            "bic": self.bic,
            "bic_by_states": [list(pair) for pair in self.bic_by_states],
            "durations": [stay if stay < float("inf") else None for stay in self.durations],
            "visits": list(self.visits),
            "selection": None if self.selection is None else selection_members(self.selection),
        }


def train_hmm(
    bars: BarColumns,
    recipe: HmmRecipe,
    source: DataSource,
    *,
    champion: Artefact | None = None,
    champion_digest: str = "",
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a Gaussian HMM and put everything serving needs into an artefact.

    Parameters
    ----------
    champion : the model in force, whose state names a matching refit keeps.

    Raises
    ------
    FeaturesRefused : bars from which the features cannot be computed.
    FitRefused : too few rows, constant features, or a fit that is degenerate; the message says in what.
    ValueError : the recipe contradicts itself.
    """
    matrix = feature_matrix(bars, recipe.features, machine_code=True)
    names = recipe.features.names
    rows = matrix.x.shape[0]
    if rows < FEWEST_ROWS:
        raise FitRefused(
            f"{rows} rows of features are too few to train on; at least {FEWEST_ROWS} are needed"
        )
    trainer: Trainer = EmTrainer() if recipe.trainer == "em" else HmmlearnTrainer()
    selection: Selection | None = None
    states = recipe.states
    choosing = len(recipe.candidates) * (1 if states else recipe.blocks + 1)
    total = choosing + recipe.restarts

    def tell(stage: str, done: int, iteration: int = 0, log_likelihood: float | None = None) -> None:
        if progress is not None:
            progress(Step(stage, done, total, iteration, log_likelihood))

    if states is None:
        selection = select_states(
            matrix.x,
            names,
            recipe.fit_recipe(1),
            candidates=recipe.candidates,
            blocks=recipe.blocks,
            lengths=matrix.lengths,
            trainer=trainer,
            scaling=recipe.scaling,
            progress=lambda done, _: tell("choosing the number of states", done),
        )
        states = selection.states
    scaler = recipe.scaling.fit(matrix.x, names)
    z = scaler.apply(matrix.x)
    bics: list[tuple[int, float | None]] = []
    for done, count in enumerate(recipe.candidates):
        if selection is not None:
            chosen = selection.candidate(count).bic
            bics.append((count, chosen if chosen < float("inf") else None))
            continue
        tell("comparing numbers of states", done)
        try:
            compared = fit_best(z, names, recipe.fit_recipe(count), lengths=matrix.lengths, trainer=trainer)
            bics.append((count, compared.fit.bic()))
        except FitRefused:
            bics.append((count, None))
    best = fit_best(
        z,
        names,
        recipe.fit_recipe(states),
        lengths=matrix.lengths,
        trainer=trainer,
        progress=lambda restart, _, iteration, value: tell(
            "fitting", choosing + restart - 1, iteration, value
        ),
    )
    if best.findings:
        raise FitRefused(f"the fit is degenerate: {'; '.join(map(str, best.findings))}")
    tell("done", total)
    model = RegimeModel(best.fit.hmm, scaler, recipe.features, state_names(states), bars.interval_ns)
    model, identity = name_states(model, champion, champion_digest)
    _, scores = filter_series(best.fit.hmm, z, matrix.lengths, machine_code=True)
    lineage = {
        "model": HMM,
        **data_lineage(bars, source, matrix.lengths),
        "recipe": recipe.members(),
        "states": states,
        **_fit_members(best, z, matrix.lengths),
        "selection": None if selection is None else selection_members(selection),
        "bic_by_states": [list(pair) for pair in bics],
        "regime_map": identity,
    }
    artefact = Artefact(
        model,
        score_reference(scores, bars_between_alarms=recipe.bars_between_alarms, seed=recipe.seed),
        histograms(matrix.x, names),
        lineage,
    )
    return TrainedModel(
        HMM,
        artefact,
        best.fit.log_likelihood,
        best.fit.likelihoods,
        tuple(float(bars_) for bars_ in best.fit.hmm.expected_durations()),
        tuple(float(visits) for visits in best.fit.visits),
        best.fit.bic(),
        selection,
        tuple(bics),
    )


def name_states(
    model: RegimeModel, champion: Artefact | None, champion_digest: str
) -> tuple[RegimeModel, dict[str, Any]]:
    """Give a model the names of the champion's states it matches; return it with what the match was."""
    against = champion.model if champion is not None and isinstance(champion.model, RegimeModel) else None
    labels, is_new = served_names(model, against)
    identity: dict[str, Any] = {"new": is_new, "champion": None, "states": None, "costs": None}
    if against is not None and against.features == model.features:
        match = match_states(model, against)
        identity |= {
            "champion": champion_digest,
            "states": list(match.champion_state),
            "costs": list(match.costs),
        }
    return replace(model, labels=labels), identity


def selection_members(selection: Selection) -> list[dict[str, Any]]:
    """Return the table of candidates as JSON members; a number that is not finite becomes null."""

    def plain(value: float) -> float | None:
        return value if abs(value) < float("inf") else None

    return [
        {
            "states": one.states,
            "held_out_score": plain(one.score),
            "blocks": list(one.held_out),
            "bic": plain(one.bic),
            "aic": plain(one.aic),
            "icl": plain(one.icl),
            "findings": [] if one.best is None else [str(finding) for finding in one.best.findings],
            "refusal": one.refusal,
            "chosen": one.states == selection.states,
            "chosen_by_bic": one.states == selection.by_bic,
        }
        for one in selection.candidates
    ]


def _fit_members(best: BestFit, z: FloatArray, lengths: tuple[int, ...]) -> dict[str, Any]:
    return {
        "log_likelihood": best.fit.log_likelihood,
        "bic": best.fit.bic(),
        "aic": best.fit.aic(),
        "icl": icl(z, best.fit, lengths),
        "trace": list(best.fit.likelihoods),
        "restart": best.restart,
        "objectives": list(best.objectives),
        "order": list(best.order),
        "visits": [float(visits) for visits in best.fit.visits],
    }
