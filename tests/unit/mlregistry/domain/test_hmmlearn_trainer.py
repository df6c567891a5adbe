"""Our EM and our filter against hmmlearn, the reference."""

from __future__ import annotations

import numpy as np
import pytest

from mlregistry.domain.hmmlearn_trainer import HmmlearnTrainer, reference_model
from tests.unit.trading.domain.regime.simulated import THREE, simulate, standardised
from trading.domain.regime.em import EmSettings
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.filter import filter_series
from trading.domain.regime.fitting import EmTrainer
from trading.domain.regime.gaussian import COVARIANCES, Covariance
from trading.domain.regime.starts import volatility_start

NAMES = ("log_return", "volume")
X = np.column_stack(
    [standardised(simulate(THREE, 2000, seed=21)[0]), np.random.default_rng(22).normal(size=2000)]
)
LENGTHS = (900, 700, 400)


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("kappa", [0.0, 20.0])
def test_the_same_start_and_priors_lead_to_the_same_fit(kind: Covariance, kappa: float) -> None:
    begin = volatility_start(X, NAMES, 3, kind, 10)
    settings = EmSettings(iterations=25, tolerance=0.0, kappa=kappa)
    ours = EmTrainer().fit(X, begin, settings, lengths=LENGTHS)
    reference = HmmlearnTrainer().fit(X, begin, settings, lengths=LENGTHS)
    assert ours.log_likelihood == pytest.approx(reference.log_likelihood, rel=1e-6)
    assert ours.trace == pytest.approx(reference.trace, rel=1e-9)
    assert ours.likelihoods == pytest.approx(reference.likelihoods, rel=1e-9)
    assert ours.hmm.transition == pytest.approx(reference.hmm.transition, abs=1e-8)
    assert ours.hmm.emission.means == pytest.approx(reference.hmm.emission.means, abs=1e-7)
    assert ours.hmm.emission.covariances == pytest.approx(reference.hmm.emission.covariances, abs=1e-7)
    assert ours.visits == pytest.approx(reference.visits, abs=1e-4)


def test_the_newest_row_of_predict_proba_is_our_filtered_row_on_every_prefix() -> None:
    learner = reference_model(volatility_start(X, NAMES, 3, "full", 10), EmSettings(), 0.0)
    hmm = volatility_start(X, NAMES, 3, "full", 10)
    filtered, scores = filter_series(hmm, X)
    for rows in (1, 2, 17, 500, 2000):
        assert np.abs(learner.predict_proba(X[:rows])[-1] - filtered[rows - 1]).max() <= 1e-9
        assert learner.score(X[:rows]) == pytest.approx(scores[:rows].sum(), rel=1e-10)


def test_older_rows_of_predict_proba_are_not_filtered_rows() -> None:
    # hmmlearn smooths: row t depends on what came after it. This is why it never serves.
    learner = reference_model(volatility_start(X, NAMES, 3, "full", 10), EmSettings(), 0.0)
    filtered, _ = filter_series(volatility_start(X, NAMES, 3, "full", 10), X)
    assert np.abs(learner.predict_proba(X)[:-1] - filtered[:-1]).max() > 0.3


def test_running_out_of_iterations_is_not_convergence() -> None:
    begin = volatility_start(X, NAMES, 3, "full", 10)
    short = HmmlearnTrainer().fit(X, begin, EmSettings(iterations=3, tolerance=0.0))
    assert not short.converged
    assert len(short.trace) == 4
    assert HmmlearnTrainer().fit(X, begin, EmSettings(tolerance=1e-6)).converged


def test_rows_that_are_not_finite_are_refused() -> None:
    begin = volatility_start(X, NAMES, 3, "full", 10)
    spoiled = X.copy()
    spoiled[5, 0] = np.nan
    with pytest.raises(FitRefused, match="NaN or infinity"):
        HmmlearnTrainer().fit(spoiled, begin, EmSettings())
