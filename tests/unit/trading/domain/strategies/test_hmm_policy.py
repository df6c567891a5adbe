"""The regime policy against the science cases, and everything that closes its gate."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trading.domain.strategies.cases import agrees, case
from tests.unit.trading.domain.strategies.regimes import (
    HOUR_NS,
    T0_NS,
    artefact,
    bars_of,
    calm_then_wild,
    flat_model,
    reasons,
    run,
    targets,
    write,
)
from trading.domain.regime.features import BarColumns, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.posterior import confidence, kelly_target, mixture_moments
from trading.domain.regime.scaler import Scaler
from trading.domain.strategies import ParameterError, parse_params, registry
from trading.domain.strategies.regime_gate import positions_of, predicted, return_moments
from trading.domain.strategies.regime_model import served_model

HmmPolicy = registry()["hmm_policy"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    return tmp_path / "models"


def params(home: Path, model: RegimeModel | None = None, floor: float = -40.0, **values: Any) -> Any:
    digest = write(home, artefact(model or flat_model(), floor=floor))
    return parse_params(HmmPolicy.Params, {"model": digest} | values)


def test_h11_moments_of_the_model_are_those_of_the_mixture(home: Path) -> None:
    told, expected = case("H11")["args"], case("H11")["expected"]
    model = flat_model(
        means=told["means"],
        deviations=[math.sqrt(variance) for variance in told["variances"]],
        transition=told["transmat"],
        labels=("calm", "trend", "turbulent"),
    )
    served = served_model(write(home, artefact(model)))
    ahead = predicted(told["filtered"], served, told["steps"])
    mean, variance = mixture_moments(np.array(ahead), *map(np.array, return_moments(served, 0.0)))
    for got, wanted in zip(ahead, expected["state"], strict=True):
        assert agrees(got, wanted, "H11")
    assert agrees(mean, expected["mean"], "H11")
    assert agrees(variance, expected["var"], "H11")


def test_h13_kelly_is_capped() -> None:
    told = case("H13")["args"]
    target = kelly_target(told["mean"], told["var"], told["fraction"], told["cap"], 0.0)
    assert agrees(target, case("H13")["expected"], "H13")


def test_h17_certainty_is_one_less_the_entropy() -> None:
    assert agrees(confidence(np.array(case("H17")["args"]["posterior"])), case("H17")["expected"], "H17")


def test_it_holds_the_calm_and_leaves_the_wild(home: Path) -> None:
    said, _ = run(HmmPolicy(), params(home), bars_of(calm_then_wild(100, 60)))
    assert said[60].target > 0.9
    assert said[60].reason == "REGIME_LONG"
    assert said[-1].target == 0.0
    assert said[-1].features["p_turbulent"] > 0.9


def test_its_probabilities_are_the_filters_of_the_whole_series_and_never_smoothed(home: Path) -> None:
    bars, model = bars_of(calm_then_wild(80, 40, seed=4)), flat_model()
    said, _ = run(HmmPolicy(), params(home), bars)
    columns = BarColumns(
        np.array([bar.close_ns for bar in bars]),
        HOUR_NS,
        *(np.array([getattr(bar, name) for bar in bars]) for name in ("high", "low", "close", "volume")),
    )
    matrix = feature_matrix(columns, model.features)
    filtered, _ = filter_series(model.hmm, matrix.x, scaler=model.scaler)
    live = np.array([[one.features["p_calm"], one.features["p_turbulent"]] for one in said[1:]])
    assert np.abs(live - filtered).max() <= 1e-9


def test_the_target_is_the_predicted_probability_times_the_position(home: Path) -> None:
    said, _ = run(HmmPolicy(), params(home, band=0.0), bars_of(calm_then_wild(60, 0)))
    calm = said[-1].features["p_calm"]
    assert said[-1].target == pytest.approx(0.97 * calm + 0.06 * (1.0 - calm), rel=1e-12)


def test_kelly_takes_the_net_mean_over_the_variance(home: Path) -> None:
    chosen = params(home, method="kelly", band=0.0, cost_bps=12.0, hold_bars=24.0, prior_bars=1_000.0)
    said, _ = run(HmmPolicy(), chosen, bars_of(calm_then_wild(60, 0)))
    # Means are halved by n / (n + n0) = 1000 / 2000; twelve basis points over 24 bars cost half a one a bar.
    calm = 0.97 * (p := said[-1].features["p_calm"]) + 0.06 * (1.0 - p)
    mean = calm * 0.0005 + (1.0 - calm) * -0.001
    second = calm * (0.004**2 + 0.0005**2) + (1.0 - calm) * (0.02**2 + 0.001**2)
    expected = 0.25 * (mean - 0.00005) / (second - mean**2)
    assert said[-1].features["mean"] == pytest.approx(mean, rel=1e-9)
    assert said[-1].target == pytest.approx(min(1.0, expected), rel=1e-9)


def test_a_falling_regime_is_sold_short_only_where_allowed(home: Path) -> None:
    wild, table = bars_of(calm_then_wild(0, 60)), "calm:1, turbulent:-1"
    flat, _ = run(HmmPolicy(), params(home, positions=table), wild)
    short, _ = run(HmmPolicy(), params(home, positions=table, allow_short=True), wild)
    assert flat[-1].target == 0.0
    assert short[-1].target < -0.5
    assert short[-1].reason == "REGIME_SHORT"


def test_small_changes_are_not_traded(home: Path) -> None:
    bars = bars_of(calm_then_wild(120, 0, seed=2))
    banded, loose = (targets(run(HmmPolicy(), params(home, band=b), bars)[0]) for b in (0.1, 0.0))
    changes = [sum(a != b for a, b in itertools.pairwise(said)) for said in (banded, loose)]
    assert changes[0] < changes[1] / 4


def test_a_regime_without_a_position_is_refused(home: Path) -> None:
    model = flat_model(labels=("calm", "panic"))
    with pytest.raises(ParameterError, match="panic") as refused:
        params(home, model)
    assert refused.value.field == "positions"


@pytest.mark.parametrize("text", ["calm", "calm:2", "calm:x", "calm:1, calm:0", ":1", "calm:nan"])
def test_positions_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ParameterError) as refused:
        positions_of(text, (), "positions")
    assert refused.value.field == "positions"


@pytest.mark.parametrize(
    ("values", "field"),
    [({"method": "guess"}, "method"), ({"leave": 0.7}, "leave"), ({"kelly_fraction": 0.6}, "kelly_fraction")],
)
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], field: str, home: Path) -> None:
    with pytest.raises(ParameterError) as refused:
        params(home, **values)
    assert refused.value.field == field


def test_nothing_is_held_while_the_windows_fill(home: Path) -> None:
    chosen = params(home, flat_model(features=("log_return", "volatility")), confidence_floor=0.0)
    said, _ = run(HmmPolicy(), chosen, bars_of(calm_then_wild(12, 0)))
    assert HmmPolicy().warmup(chosen) == 6
    assert reasons(said)[:5] == ["REGIME_WARMING"] * 5
    assert said[5].reason != "REGIME_WARMING"


def test_bars_of_the_training_window_are_not_traded(home: Path) -> None:
    bars = bars_of(calm_then_wild(40, 0), first=-20)
    said, _ = run(HmmPolicy(), params(home), bars)
    inside = [one for one, bar in zip(said, bars, strict=True) if bar.close_ns <= T0_NS - 1_000_000]
    assert set(reasons(inside)[1:]) == {"MODEL_FROM_THE_FUTURE"}
    assert set(targets(inside)) == {0.0}
    assert said[20].target > 0.0


def test_an_embargo_follows_the_training_window(home: Path) -> None:
    said, _ = run(HmmPolicy(), params(home, embargo=5), bars_of(calm_then_wild(40, 0), first=-20))
    assert reasons(said)[20:25] == ["MODEL_FROM_THE_FUTURE"] * 5
    assert said[25].target > 0.0


def test_a_model_past_its_refit_limit_holds_nothing(home: Path) -> None:
    said, _ = run(HmmPolicy(), params(home, refit_days=2.0), bars_of(calm_then_wild(60, 0)))
    # The bar that closes exactly two days after the window's end is the last one allowed.
    assert [i for i, one in enumerate(said) if one.reason == "MODEL_EXPIRED"] == list(range(48, 60))
    assert set(targets(said)[48:]) == {0.0}


def test_an_observation_no_regime_explains_closes_the_gate(home: Path) -> None:
    returns = [*calm_then_wild(40, 0), 0.09]
    said, _ = run(HmmPolicy(), params(home, floor=-10.0), bars_of(returns))
    assert said[-2].target > 0.0
    assert (said[-1].target, said[-1].reason) == (0.0, "UNEXPLAINED_OBSERVATION")


def test_uncertain_regimes_close_the_gate(home: Path) -> None:
    said, _ = run(HmmPolicy(), params(home, confidence_floor=1.0), bars_of(calm_then_wild(30, 0)))
    assert set(reasons(said)[1:]) == {"LOW_CONFIDENCE"}


def test_an_unusable_bar_holds_nothing_and_the_filter_goes_on(home: Path) -> None:
    chosen = params(home, flat_model(features=("log_return", "volume")))
    bars = bars_of(calm_then_wild(60, 0))
    bars[30] = replace(bars[30], volume=0.0)
    said, _ = run(HmmPolicy(), chosen, bars)
    assert (said[30].target, said[30].reason) == (0.0, "UNUSABLE_BAR")
    assert said[29].target > 0.0
    assert set(reasons(said)[31:40]) == {"REGIME_WARMING"}
    assert said[-1].target > 0.0


def test_an_unusable_bar_counts_as_taken(home: Path) -> None:
    chosen = params(home, flat_model(features=("log_return", "volume")))
    bars = bars_of(calm_then_wild(31, 0))
    bars[30] = replace(bars[30], volume=0.0)
    _, state = run(HmmPolicy(), chosen, bars)
    assert run(HmmPolicy(), chosen, [bars[30]], state=state)[0] == [None]


def test_moments_are_in_the_units_of_the_return(home: Path) -> None:
    # Standardised by (x - 0.002) / 0.01: a state mean of 0.1 and deviation of 0.4 are 0.003 and 0.004.
    model = replace(flat_model(), scaler=Scaler(np.array([0.002]), np.array([0.01]), 8.0))
    means, variances = return_moments(served_model(write(home, artefact(model))), 0.0)
    assert means == pytest.approx((0.003, 0.0), abs=1e-15)
    assert variances == pytest.approx((0.004**2, 0.02**2), rel=1e-12)


def test_a_gap_lets_the_windows_fill_again_before_anything_is_held(home: Path) -> None:
    bars = bars_of(calm_then_wild(60, 0))
    said, _ = run(HmmPolicy(), params(home), [*bars[:30], *bars[33:]])
    assert said[29].target > 0.0
    assert (said[30].target, said[30].reason) == (0.0, "REGIME_WARMING")
    assert said[31].target > 0.0


def test_behind_a_long_gap_the_filter_begins_anew(home: Path) -> None:
    bars = bars_of(calm_then_wild(120, 0))
    long, _ = run(HmmPolicy(), params(home, longest_gap=10), [*bars[:40], *bars[80:]])
    fresh, _ = run(HmmPolicy(), params(home, longest_gap=10), bars[80:])
    assert long[40:] == fresh


def test_a_state_of_another_model_is_not_continued(home: Path) -> None:
    bars = bars_of(calm_then_wild(80, 0))
    other = params(home, flat_model(means=(0.0, 0.0)))
    _, foreign = run(HmmPolicy(), other, bars[:40])
    chosen = params(home)
    said, _ = run(HmmPolicy(), chosen, bars[40:], state=foreign)
    fresh, _ = run(HmmPolicy(), chosen, bars[40:])
    assert (said[0].target, said[0].reason) == (0.0, "REGIME_WARMING")
    assert [one.features for one in said] == [one.features for one in fresh]


def test_a_damaged_state_is_not_continued(home: Path) -> None:
    chosen, bars = params(home), bars_of(calm_then_wild(60, 0))
    _, state = run(HmmPolicy(), chosen, bars[:30])
    broken = state | {"filter": state["filter"] | {"chain": (1.0, 0.5)}}
    said, _ = run(HmmPolicy(), chosen, bars[30:], state=broken)
    assert (said[0].target, said[0].reason) == (0.0, "REGIME_WARMING")
    assert said[1].target > 0.0


def test_a_bar_taken_before_changes_nothing(home: Path) -> None:
    chosen, bars = params(home), bars_of(calm_then_wild(30, 0))
    _, state = run(HmmPolicy(), chosen, bars)
    again, after = run(HmmPolicy(), chosen, [bars[-1]], state=state)
    assert again == [None]
    assert after == state


def test_a_state_stepped_twice_says_the_same_twice(home: Path) -> None:
    chosen, bars = params(home), bars_of(calm_then_wild(31, 0))
    _, state = run(HmmPolicy(), chosen, bars[:30])
    first, second = (run(HmmPolicy(), chosen, bars[30:], state=state) for _ in range(2))
    assert first == second


def test_bars_of_another_interval_are_refused(home: Path) -> None:
    with pytest.raises(ParameterError, match="served 1m"):
        run(HmmPolicy(), params(home), bars_of(calm_then_wild(5, 0)), interval="1m")
