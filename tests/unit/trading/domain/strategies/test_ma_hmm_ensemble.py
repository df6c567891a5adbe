"""The ensemble: case H15, behaviour C21 of the earlier system, and its defects W60 to W63, each with a test."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trading.domain.strategies.cases import agrees, case
from tests.unit.trading.domain.strategies.regimes import (
    artefact,
    bars_of,
    calm_then_wild,
    flat_model,
    reasons,
    run,
    targets,
    write,
)
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.posterior import log_odds_pool
from trading.domain.strategies import Desired, ParameterError, parse_params, registry
from trading.domain.strategies.ensemble_members import average_gap, calibrated, rise_log_odds

Ensemble = registry()["ma_hmm_ensemble"]
RISING = [0.004 + 0.002 * (-1) ** i for i in range(60)]
FALLING = [-one for one in RISING]
LEANING = {"means": (0.006, -0.006), "deviations": (0.006, 0.007)}
"""States that say which way: strongly up, strongly down."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    return tmp_path / "models"


def params(home: Path, model: RegimeModel | None = None, **values: Any) -> Any:
    made = model or flat_model(**LEANING)  # type: ignore[arg-type]
    visits = [1e9] * made.states
    return parse_params(
        Ensemble.Params, {"model": write(home, artefact(made, visits=visits)), "allow_short": True} | values
    )


def last(home: Path, returns: list[float], model: RegimeModel | None = None, **values: Any) -> Desired:
    said = run(Ensemble(), params(home, model, **values), bars_of(returns))[0][-1]
    assert said is not None
    return said


def test_h15_the_pool_of_two_opinions() -> None:
    told = case("H15")["args"]
    pooled = log_odds_pool(np.array(told["probs"]), np.array(told["weights"]), 0.0)
    assert agrees(pooled, case("H15")["expected"], "H15")


def test_w60_with_its_defaults_it_fires_in_a_trend(home: Path) -> None:
    digest = write(home, artefact(flat_model()))
    chosen = parse_params(Ensemble.Params, {"model": digest})
    said, _ = run(Ensemble(), chosen, bars_of(RISING))
    assert max(target for target in targets(said) if target is not None) > 0.5
    assert "ENSEMBLE_LONG" in reasons(said)


def test_w60_the_gap_is_measured_in_deviations_and_not_in_prices(home: Path) -> None:
    said = last(home, RISING)
    distance = abs(said.features["gap"])
    assert distance > 0.5  # |fast - slow| / price would be 0.02 here
    assert average_gap(101.0, 100.0, 2.0) == 0.5
    assert average_gap(101.0, 100.0, 0.0) == 0.0


def test_w61_disagreement_cancels_instead_of_adding_up(home: Path) -> None:
    # The averages rise while the regimes, their labels turned round, say down with the same force.
    agree = last(home, RISING)
    against = flat_model(means=(-0.006, 0.006), deviations=(0.007, 0.006))
    differ = last(home, RISING, against, hmm_slope=-1.0)
    odds = [math.log(p / (1 - p)) for p in (agree.features["p_ma"], agree.features["p_hmm"])]
    assert agree.confidence == pytest.approx(abs(math.tanh(sum(odds) / 4)), rel=1e-9)
    assert differ.features["p_hmm"] < 0.5 < differ.features["p_ma"]
    assert differ.confidence < agree.confidence


def test_w61_equal_and_opposite_opinions_leave_no_position_and_no_confidence() -> None:
    pooled = log_odds_pool(np.array([0.9, 0.1]), np.array([0.5, 0.5]), 0.0)
    assert pooled == pytest.approx(0.5, abs=1e-15)
    assert abs(2 * pooled - 1) < 1e-15


def test_w61_a_sell_is_never_the_answer_to_two_buys(home: Path) -> None:
    up, down = last(home, RISING), last(home, FALLING)
    assert (up.target > 0, up.reason) == (True, "ENSEMBLE_LONG")
    assert (down.target < 0, down.reason) == (True, "ENSEMBLE_SHORT")


def test_w62_what_came_before_a_bar_counts(home: Path) -> None:
    # The same last bars after different histories: a point mixture would say the same, a filter does not.
    calm, wild = calm_then_wild(60, 0, seed=1), calm_then_wild(0, 60, seed=1)
    tail = calm_then_wild(1, 0, seed=9)
    sticky = flat_model()
    after_calm, after_wild = (last(home, [*before, *tail], sticky) for before in (calm, wild))
    assert after_calm.features["p_calm"] > after_wild.features["p_calm"] + 0.1


def test_w62_the_order_of_the_states_does_not_matter(home: Path) -> None:
    first = flat_model()
    second = flat_model(
        means=(-0.002, 0.001),
        deviations=(0.02, 0.004),
        transition=((0.94, 0.06), (0.03, 0.97)),
        labels=("turbulent", "calm"),
    )
    returns = calm_then_wild(60, 30)
    one, other = (run(Ensemble(), params(home, model), bars_of(returns))[0] for model in (first, second))
    assert targets(one)[25:] == pytest.approx(targets(other)[25:], abs=1e-9)


def test_w63_bars_of_another_length_than_those_of_the_training_are_refused(home: Path) -> None:
    with pytest.raises(ParameterError, match="was trained on bars of 3600 s and is served 1m"):
        run(Ensemble(), params(home), bars_of(RISING), interval="1m")


def test_w63_the_volume_of_the_bar_is_what_the_model_sees(home: Path) -> None:
    model = flat_model(features=("log_return", "volume"))
    bars = bars_of(calm_then_wild(40, 0))
    loud = [*bars[:-1], replace(bars[-1], volume=bars[-1].volume * 50)]
    quiet_said, loud_said = (run(Ensemble(), params(home, model), one)[0][-1] for one in (bars, loud))
    assert quiet_said is not None
    assert loud_said is not None
    assert quiet_said.features["log_score"] != loud_said.features["log_score"]


def test_c21_two_that_agree_act_with_a_confidence_above_the_floor(home: Path) -> None:
    said = last(home, RISING)
    assert said.target > 0
    assert said.confidence >= 2 * 0.6 - 1


def test_c21_a_weak_opinion_does_not_act(home: Path) -> None:
    said = last(home, RISING, ma_slope=0.1, hmm_slope=0.1)
    assert (said.target, said.reason) == (0.0, "NO_EDGE")


def test_c21_the_averages_may_act_alone_while_the_regimes_are_silent(home: Path) -> None:
    alone = last(home, RISING, confidence_floor=1.0)
    silenced = last(home, RISING, confidence_floor=1.0, ma_alone=False)
    assert alone.target > 0
    assert "p_hmm" not in alone.features
    assert (silenced.target, silenced.reason) == (0.0, "LOW_CONFIDENCE")


def test_an_observation_no_regime_explains_closes_the_gate_whatever_the_averages_say(home: Path) -> None:
    digest = write(home, artefact(flat_model(), floor=-10.0))
    chosen = parse_params(Ensemble.Params, {"model": digest})
    said, _ = run(Ensemble(), chosen, bars_of([*RISING, 0.09]))
    assert said[-1] is not None
    assert (said[-1].target, said[-1].reason) == (0.0, "UNEXPLAINED_OBSERVATION")


@pytest.mark.parametrize(("members", "voice"), [("ma", "p_ma"), ("hmm", "p_hmm")])
def test_each_member_can_decide_alone_for_an_ablation(members: str, voice: str, home: Path) -> None:
    said = last(home, RISING, members=members)
    assert said.features["p"] == pytest.approx(said.features[voice], rel=1e-12)


def test_the_regimes_say_how_likely_the_next_bar_rises() -> None:
    # One regime, mean one standard deviation above zero: P(r > 0) = Phi(1) = 0.8413447461.
    odds = rise_log_odds([1.0], [0.01], [0.0001])
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(0.8413447460685429, rel=1e-12)
    assert rise_log_odds([0.5, 0.5], [0.01, -0.01], [0.0001, 0.0001]) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("score", "p"), [(0.0, 0.5), (1.0, 1 / (1 + math.exp(-2.0))), (1e6, 0.99), (-1e6, 0.01)]
)
def test_platts_map_is_clipped(score: float, p: float) -> None:
    assert calibrated(score, 2.0, 0.0) == pytest.approx(p, rel=1e-15)


def test_the_size_grows_with_the_edge_up_to_the_full_one(home: Path) -> None:
    said = last(home, RISING, full_edge=1.0, band=0.0)
    assert said.target == pytest.approx(2 * said.features["p"] - 1, rel=1e-12)
    assert last(home, RISING, full_edge=0.01).target == 1.0


@pytest.mark.parametrize(
    ("values", "field"),
    [({"fast": 21}, "fast"), ({"members": "all"}, "members"), ({"leave": 0.9}, "leave"),
     ({"ma_weight": -0.1}, "ma_weight")],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], field: str, home: Path) -> None:
    with pytest.raises(ParameterError) as refused:
        params(home, **values)
    assert refused.value.field == field


def test_a_model_without_returns_is_refused(home: Path) -> None:
    with pytest.raises(ParameterError, match="log return"):
        params(home, flat_model(features=("range",)))
