from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trading.domain.regime.checks import Degeneracy, degeneracies
from trading.domain.regime.em import Fit
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm

SOUND = Fit(
    GaussianHmm(
        np.array([0.5, 0.5]),
        np.array([[0.9, 0.1], [0.2, 0.8]]),
        GaussianEmission("full", np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([np.eye(2), 2 * np.eye(2)])),
    ),
    log_likelihood=-1000.0,
    visits=np.array([600.0, 400.0]),
    trace=(-1100.0, -1010.0, -1000.0),
    converged=True,
    rows=1000,
)


def with_covariance(matrix: list[list[float]]) -> Fit:
    emission = GaussianEmission("full", SOUND.hmm.emission.means, np.array([np.eye(2), matrix]))
    return replace(SOUND, hmm=GaussianHmm(SOUND.hmm.start, SOUND.hmm.transition, emission))


def with_stay(stay: float) -> Fit:
    transition = np.array([[stay, 1 - stay], [0.2, 0.8]])
    return replace(SOUND, hmm=GaussianHmm(SOUND.hmm.start, transition, SOUND.hmm.emission))


def with_visits(second: float) -> Fit:
    return replace(SOUND, visits=np.array([1000.0 - second, second]))


def test_a_sound_fit_has_no_findings() -> None:
    assert degeneracies(SOUND) == ()


@pytest.mark.parametrize(
    ("sound", "degenerate", "kind"),
    [
        (with_covariance([[1e-4, 0], [0, 1]]), with_covariance([[0.99e-4, 0], [0, 1]]), Degeneracy.VARIANCE),
        (with_covariance([[99.0, 0], [0, 1e-4]]), with_covariance([[101.0, 0], [0, 1e-4]]), Degeneracy.CONDITION),
        (with_visits(30.0), with_visits(29.9), Degeneracy.VISITS),
        (with_stay(0.5), with_stay(0.49), Degeneracy.SHORT),
        (with_stay(0.999), with_stay(0.9991), Degeneracy.LONG),
        (replace(SOUND, trace=(-1000.0, -1000.0009)), replace(SOUND, trace=(-1000.0, -1000.0011)), Degeneracy.FELL),
        (SOUND, replace(SOUND, converged=False), Degeneracy.UNFINISHED),
    ],
    ids=lambda value: value.value if isinstance(value, Degeneracy) else "",
)  # fmt: skip
def test_each_limit_of_a_degenerate_fit(sound: Fit, degenerate: Fit, kind: Degeneracy) -> None:
    assert degeneracies(sound) == ()
    assert [finding.kind for finding in degeneracies(degenerate)] == [kind]


def test_in_a_long_window_a_state_needs_one_percent_of_the_rows() -> None:
    long = replace(SOUND, rows=10_000, visits=np.array([9901.0, 99.0]))
    (finding,) = degeneracies(long)
    assert (finding.kind, finding.state, finding.limit) == (Degeneracy.VISITS, 1, 100.0)
    assert "TOO_FEW_VISITS in state 1: 99, limit 100" in str(finding)
