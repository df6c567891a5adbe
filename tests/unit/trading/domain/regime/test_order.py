from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import HOUR_NS, THREE, TWO
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.order import (
    canonical_order,
    match_states,
    served_names,
    state_names,
    symmetric_divergence,
)
from trading.domain.regime.scaler import Scaler

SPEC = FeatureSpec(("log_return",))


def model(
    hmm: GaussianHmm, labels: tuple[str, ...], *, scale: float = 1.0, center: float = 0.0
) -> RegimeModel:
    """The same market seen through a scaler: raw = z * scale + center."""
    emission = GaussianEmission(
        hmm.emission.kind, (hmm.emission.means - center) / scale, hmm.emission.covariances / scale**2
    )
    standardised = GaussianHmm(hmm.start, hmm.transition, emission)
    return RegimeModel(standardised, Scaler(np.array([center]), np.array([scale])), SPEC, labels, HOUR_NS)


def test_states_are_ordered_by_the_volatility_of_the_return() -> None:
    shuffled = THREE.permuted((2, 0, 1))
    order = canonical_order(shuffled.emission, ("log_return",))
    assert order == (1, 2, 0)
    ordered = shuffled.permuted(order)
    assert np.array_equal(ordered.transition, THREE.transition)
    assert np.array_equal(ordered.emission.means, THREE.emission.means)
    assert np.array_equal(ordered.start, THREE.start)


def test_equal_volatilities_are_ordered_by_the_mean_return() -> None:
    emission = GaussianEmission("tied", np.array([[0.3], [-0.2], [0.1]]), np.ones((3, 1, 1)))
    assert canonical_order(emission, ("log_return",)) == (1, 2, 0)


def test_without_a_return_the_volatility_feature_decides() -> None:
    emission = GaussianEmission(
        "diag", np.array([[0.0, 2.0], [0.0, -1.0]]), np.array([np.eye(2), 9 * np.eye(2)])
    )
    assert canonical_order(emission, ("volume", "volatility")) == (1, 0)
    assert canonical_order(emission, ("volume", "imbalance")) == (0, 1)


def test_names_go_from_calm_to_turbulent() -> None:
    assert state_names(3) == ("calm", "trend", "turbulent")
    assert state_names(5) == ("regime_0", "regime_1", "regime_2", "regime_3", "regime_4")


def test_symmetric_divergence_of_two_normals() -> None:
    # KL(N(0,1) || N(1,4)) = ln 2 + 2/8 - 1/2; the other way: -ln 2 + 5/2 - 1/2.
    first = GaussianEmission("diag", np.array([[0.0]]), np.array([[[1.0]]]))
    second = GaussianEmission("diag", np.array([[1.0]]), np.array([[[4.0]]]))
    assert symmetric_divergence(first, second)[0, 0] == pytest.approx(0.25 - 0.5 + 2.5 - 0.5)
    assert symmetric_divergence(first, first)[0, 0] == 0.0


def test_a_refit_keeps_the_champions_names_by_identity_whatever_its_scaler() -> None:
    champion = model(THREE, ("a", "b", "c"))
    refit = model(THREE.permuted((1, 2, 0)), ("x", "y", "z"), scale=0.013, center=0.0002)
    match = match_states(refit, champion)
    assert match.champion_state == (1, 2, 0)
    assert max(match.costs) < 1e-9
    assert served_names(refit, champion) == (("b", "c", "a"), False)


def test_a_model_of_another_market_is_a_new_regime_map() -> None:
    champion = model(TWO, ("sleepy", "wild"))
    calmer = GaussianEmission("diag", TWO.emission.means, TWO.emission.covariances / 100)
    stranger = model(GaussianHmm(TWO.start, TWO.transition, calmer), ("calm", "turbulent"))
    assert match_states(stranger, champion).is_new_map
    assert served_names(stranger, champion) == (("calm", "turbulent"), True)
    assert served_names(model(THREE, ("a", "b", "c")), champion) == (("calm", "trend", "turbulent"), True)
    assert served_names(champion, None) == (("calm", "turbulent"), True)
