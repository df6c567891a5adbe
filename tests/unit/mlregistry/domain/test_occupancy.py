"""The time in each state: what the model's own chain may do is no alarm, what it cannot do is one."""

from __future__ import annotations

import numpy as np
import pytest

from mlregistry.domain.drifting import Shape
from mlregistry.domain.occupancy import Occupancy, occupancy_of, simulated_indices
from tests.factories.markets import paying_bars, paying_closes, trained_on
from trading.domain.regime.artefact import Artefact, decode
from trading.domain.regime.drift import Drift
from trading.domain.regime.model import stationary_law

STICKY = np.array([[0.99, 0.01], [0.02, 0.98]])


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    encoded = trained_on(paying_bars(paying_closes(1500)), states=2)
    return decode(encoded.document, encoded.arrays, encoded.digest)


def walk(chain: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """One-hot states of a chain, (rows, K), step by step."""
    states, at = np.zeros((rows, len(chain))), int(rng.choice(len(chain), p=stationary_law(chain)))
    for row in range(rows):
        states[row, at] = 1.0
        at = int(rng.choice(len(chain), p=chain[at]))
    return states


def test_of_windows_the_chain_itself_makes_one_in_a_thousand_is_an_alarm() -> None:
    trained = stationary_law(STICKY)
    limit = np.quantile(simulated_indices(STICKY, trained, rows=500), 0.999)
    fresh = simulated_indices(STICKY, trained, rows=500, seed=1)
    assert (fresh > limit).mean() <= 0.004
    # The usual bound would call one in ten of these a change of the market.
    assert (fresh > 0.25).mean() > 0.05


def test_simulated_windows_are_those_of_a_chain_walked_step_by_step() -> None:
    rng, trained = np.random.default_rng(2), stationary_law(STICKY)
    shares = np.array([walk(STICKY, 200, rng).mean(axis=0)[0] for _ in range(300)])
    index = (shares - trained[0]) * np.log(np.maximum(shares, 1e-6) / trained[0]) + (
        1 - shares - trained[1]
    ) * np.log(np.maximum(1 - shares, 1e-6) / trained[1])
    found = simulated_indices(STICKY, trained, rows=200)
    for bound in (0.05, 0.25, 1.0):
        expected = float((found > bound).mean())
        error = np.sqrt(expected * (1 - expected) / len(index))
        assert float((index > bound).mean()) == pytest.approx(expected, abs=4 * error)


def test_rows_that_share_a_state_make_fewer_steps() -> None:
    trained = stationary_law(STICKY)
    one = np.median(simulated_indices(STICKY, trained, rows=480))
    assert np.median(simulated_indices(STICKY, trained, rows=480, rows_per_step=24)) > one


def test_a_state_that_hardly_ever_comes_now_is_an_alarm_of_its_own(artefact: Artefact) -> None:
    visits = np.asarray(artefact.lineage["visits"])
    same = np.tile(visits / visits.sum(), (500, 1))
    assert occupancy_of(artefact, same).verdict == Drift.STABLE
    only = np.zeros((500, 2))
    only[:, 1] = 1.0
    found = occupancy_of(artefact, only)
    assert (found.verdict, found.index > found.alarm) == (Drift.ALARM, True)
    shape = Shape(500, {"log_return": 0.01}, {}, found)
    assert shape.verdict == Drift.ALARM
    assert list(shape.alarms()) == ["occupancy"]


def test_one_state_cannot_drift_in_time() -> None:
    assert simulated_indices(np.ones((1, 1)), np.ones(1), rows=500).max() == 0.0


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (0.099, Drift.STABLE),
        (0.1, Drift.WATCH),
        (0.3, Drift.WATCH),
        (0.301, Drift.ALARM),
        (float("nan"), Drift.ALARM),
    ],
)
def test_the_bounds_are_the_model_s_own(index: float, says: Drift) -> None:
    assert Occupancy(index, watch=0.1, alarm=0.3).verdict == says
