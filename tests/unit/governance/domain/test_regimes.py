"""Which numbers of a decision's record are probabilities of regimes."""

from __future__ import annotations

import pytest

from governance.domain.regimes import regime_probabilities


def test_regimes_are_told_by_name_and_the_rest_is_left() -> None:
    told = {"p_calm": 0.75, "p_turbulent": 0.25, "certainty": 0.4, "age_bars": 0.0}
    assert regime_probabilities(told) == {"calm": 0.75, "turbulent": 0.25}


def test_what_an_ensembles_members_think_of_the_next_bar_is_no_regime() -> None:
    told = {"p_calm": 0.9, "p_turbulent": 0.1, "p_ma": 0.6, "p_hmm": 0.4, "p": 0.5}
    assert regime_probabilities(told) == {"calm": 0.9, "turbulent": 0.1}


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), "0.5", True, None])
def test_what_is_no_probability_makes_the_record_tell_nothing(bad: object) -> None:
    assert regime_probabilities({"p_calm": 0.5, "p_turbulent": bad}) == {}
