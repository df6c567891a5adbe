from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlregistry.domain.recipes import DataSource, HierarchicalRecipe, HmmRecipe
from mlregistry.domain.study import Step, train_hmm
from mlregistry.domain.two_clock_study import train_hierarchical
from tests.unit.trading.domain.regime.simulated import HOUR_NS, T0_NS, THREE, bars, simulate
from trading.domain.regime.artefact import decode, encode
from trading.domain.regime.errors import FeaturesRefused, FitRefused
from trading.domain.regime.features import BarColumns, FeatureSpec, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.two_clock_filter import TwoClockModel

SOURCE = DataSource("BTCUSDT", "spot", "1h", "f" * 64)
RETURNS = FeatureSpec(("log_return",))


def planted(rows: int, seed: int) -> BarColumns:
    """Hourly bars whose returns follow the three-state chain."""
    returns, _ = simulate(THREE, rows, seed)
    close = 100.0 * np.exp(np.cumsum(returns[:, 0]))
    volume = np.exp(np.random.default_rng(seed).normal(size=rows))
    close_ns = T0_NS + HOUR_NS * np.arange(rows, dtype=np.int64)
    return BarColumns(close_ns, HOUR_NS, close * 1.001, close * 0.999, close, volume)


BARS = planted(3000, seed=5)
RECIPE = HmmRecipe(states=3, kind="diag", features=RETURNS, bars_between_alarms=500)


def test_a_trained_model_carries_what_serving_and_drift_need() -> None:
    trained = train_hmm(BARS, RECIPE, SOURCE)
    artefact = trained.artefact
    assert isinstance(artefact.model, RegimeModel)
    assert artefact.model.labels == ("calm", "trend", "turbulent")
    deviations = np.sqrt(artefact.model.hmm.emission.covariances[:, 0, 0]) * artefact.model.scaler.scale[0]
    assert deviations == pytest.approx([0.006, 0.011, 0.020], rel=0.15)
    matrix = feature_matrix(BARS, RETURNS)
    _, scores = filter_series(artefact.model.hmm, matrix.x, scaler=artefact.model.scaler)
    assert scores.sum() == pytest.approx(trained.log_likelihood, rel=1e-9)
    assert artefact.reference.mean == pytest.approx(scores.mean())
    edges, counts = artefact.histograms["log_return"]
    assert (len(edges), counts.sum()) == (9, 2999)
    assert artefact.lineage["train_end_ns"] == BARS.close_ns[-1]
    assert artefact.lineage["rows"] == 2999
    assert artefact.lineage["trace"][-1] == trained.log_likelihood
    assert sum(trained.visits) == pytest.approx(2999)


def test_the_same_bars_recipe_and_seed_give_the_same_digest() -> None:
    first, second = (encode(train_hmm(BARS, RECIPE, SOURCE).artefact) for _ in range(2))
    assert first == second
    others = [
        encode(train_hmm(BARS.prefix(2999), RECIPE, SOURCE).artefact).digest,
        encode(train_hmm(BARS, replace(RECIPE, seed=1), SOURCE).artefact).digest,
        encode(train_hmm(BARS, replace(RECIPE, states=2), SOURCE).artefact).digest,
    ]
    assert len({first.digest, *others}) == 4


def test_a_given_number_of_states_is_shown_beside_the_others() -> None:
    trained = train_hmm(BARS, RECIPE, SOURCE)
    bics = dict(trained.bic_by_states)
    assert list(bics) == [1, 2, 3, 4]
    assert bics[3] == pytest.approx(trained.bic)
    # One state: -2 LL + 2 ln n of a normal with the covariance prior of 0.01 in 2999 standardised rows.
    matrix = feature_matrix(BARS, RETURNS).x
    rows, variance = len(matrix), 1 + 0.01 / len(matrix)
    likelihood = -0.5 * rows * (np.log(2 * np.pi * variance) + 1 / variance)
    assert bics[1] == pytest.approx(-2 * likelihood + 2 * np.log(rows), rel=1e-9)


@pytest.mark.long
def test_both_trainers_find_the_same_model() -> None:
    ours = train_hmm(BARS, RECIPE, SOURCE)
    reference = train_hmm(BARS, replace(RECIPE, trainer="hmmlearn"), SOURCE)
    assert ours.log_likelihood == pytest.approx(reference.log_likelihood, rel=1e-6)
    assert reference.artefact.lineage["recipe"]["trainer"] == "hmmlearn"


def test_the_number_of_states_is_chosen_and_every_candidate_is_recorded() -> None:
    steps: list[Step] = []
    trained = train_hmm(
        BARS, replace(RECIPE, states=None, candidates=(1, 2, 3), blocks=3), SOURCE, progress=steps.append
    )
    assert trained.selection is not None
    assert trained.artefact.lineage["states"] == trained.selection.states == 3
    table = trained.artefact.lineage["selection"]
    assert [row["states"] for row in table if row["chosen"]] == [3]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total


def test_a_refit_keeps_the_champions_names() -> None:
    champion = train_hmm(BARS, RECIPE, SOURCE).artefact
    assert isinstance(champion.model, RegimeModel)
    renamed = replace(champion, model=replace(champion.model, labels=("sleep", "walk", "run")))
    refit = train_hmm(planted(3000, seed=6), RECIPE, SOURCE, champion=renamed, champion_digest="c" * 64)
    assert refit.artefact.model.labels == ("sleep", "walk", "run")
    assert refit.artefact.lineage["regime_map"]["new"] is False
    assert refit.artefact.lineage["regime_map"]["champion"] == "c" * 64


def test_too_few_or_unusable_bars_are_refused() -> None:
    with pytest.raises(FitRefused, match="at least 250 are needed"):
        train_hmm(BARS.prefix(250), RECIPE, SOURCE)
    flat = BarColumns(BARS.close_ns, HOUR_NS, *([np.full(3000, 5.0)] * 3), BARS.volume)
    with pytest.raises(FitRefused, match="constant on the training window: log_return"):
        train_hmm(flat, RECIPE, SOURCE)
    silent = BarColumns(BARS.close_ns, HOUR_NS, BARS.high, BARS.low, BARS.close, np.zeros(3000))
    with pytest.raises(FeaturesRefused, match="nothing was traded"):
        train_hmm(silent, replace(RECIPE, features=FeatureSpec()), SOURCE)


def test_a_degenerate_fit_is_refused_with_its_reasons() -> None:
    # One state cannot hold 30 of 300 rows when a lone spike takes a state of its own.
    returns = np.random.default_rng(1).normal(0, 1e-3, size=300)
    returns[150] = 3.0
    close = 100 * np.exp(np.cumsum(returns))
    close_ns = BARS.close_ns[:300]
    spiked = BarColumns(close_ns, HOUR_NS, close * 1.001, close * 0.999, close, BARS.volume[:300])
    with pytest.raises(FitRefused, match="TOO_FEW_VISITS"):
        train_hmm(spiked, replace(RECIPE, states=2), SOURCE)


@pytest.mark.parametrize(
    "change",
    [{"states": 0}, {"states": 7}, {"candidates": ()}, {"kind": "round"}, {"bars_between_alarms": 5}],
)
def test_an_impossible_recipe_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        HmmRecipe(**change)  # type: ignore[arg-type]


def test_a_two_clock_model_is_trained_from_fast_bars_alone() -> None:
    recipe = HierarchicalRecipe(
        slow_interval="4h",
        rounds=4,
        features=FeatureSpec(("log_return",)),
        slow_features=FeatureSpec(("volatility",), 3, 4),
        bars_between_alarms=500,
    )
    trained = train_hierarchical(bars(2000, seed=2), recipe, SOURCE)
    model = trained.artefact.model
    assert isinstance(model, TwoClockModel)
    assert (model.interval_ns, model.slow_interval_ns) == (HOUR_NS, 4 * HOUR_NS)
    assert model.hmm.slow.means[0, 0] < model.hmm.slow.means[1, 0]
    assert min(np.diff(trained.trace)) >= -1e-9 * abs(trained.trace[-1])
    held_out = trained.artefact.lineage["held_out"]
    assert held_out["gain"] == pytest.approx(held_out["two_clock"] - held_out["flat"])
    assert held_out["bars"] == pytest.approx(500, abs=1)
    encoded = encode(trained.artefact)
    assert encode(train_hierarchical(bars(2000, seed=2), recipe, SOURCE).artefact) == encoded
    assert encode(decode(encoded.document, encoded.arrays, encoded.digest)) == encoded


def test_a_two_clock_model_needs_slow_bars() -> None:
    with pytest.raises(FitRefused, match="slow rows are too few"):
        train_hierarchical(bars(400, seed=2), HierarchicalRecipe(), SOURCE)
