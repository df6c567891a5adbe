"""The compiled steps of regime strategies decide what their Python steps decide: through gaps, bad bars, shut gates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import spot
from tests.property.backtest.test_engines_agree import same
from tests.unit.trading.domain.strategies.regimes import (
    HOUR_NS,
    T0_NS,
    artefact,
    bars_of,
    flat_model,
    two_clock_model,
    write,
)
from trading.domain.backtest import Assignment, BarSeries, Inputs, Settings, run
from trading.domain.backtest.compiled import run_compiled, why_not
from trading.domain.strategies import Bar, Observation, parse_params, registry

HmmPolicy = registry()["hmm_policy"]
Ensemble = registry()["ma_hmm_ensemble"]
Hierarchical = registry()["hierarchical_hmm"]
Said = tuple[str, float]
DAY_NS = 24 * HOUR_NS


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two models: one of returns alone, one of three states with windows; and one that cannot be compiled."""
    home = tmp_path_factory.mktemp("home")
    three = flat_model(
        means=(0.002, 0.0, -0.003), deviations=(0.003, 0.006, 0.02),
        transition=((0.95, 0.04, 0.01), (0.05, 0.9, 0.05), (0.02, 0.08, 0.9)),
        labels=("calm", "trend", "turbulent"), features=("log_return", "volatility", "volume", "range"),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAUTILUS_HOME", str(home))
        yield {
            "two": write(home / "models", artefact(flat_model(), floor=-8.0)),
            "three": write(home / "models", artefact(three, floor=-20.0)),
            "clocks": write(home / "models", artefact(two_clock_model(), floor=-8.0, held_out={"gain": 1.0})),
            "flow": write(home / "models", artefact(flat_model(features=("log_return", "imbalance")))),
        }


@st.composite
def gates(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "prior_bars": draw(st.sampled_from([0.0, 1_000.0])),
        "leave": draw(st.sampled_from([0.3, 0.5])),
        "band": draw(st.sampled_from([0.0, 0.1])),
        "confidence_floor": draw(st.sampled_from([0.0, 0.2, 0.6])),
        "stale_limit": draw(st.integers(0, 3)),
        "longest_gap": draw(st.integers(0, 4)),
        "refit_days": draw(st.sampled_from([0.0, 2.0, 90.0])),
        "embargo": draw(st.integers(0, 30)),
        "allow_short": draw(st.booleans()),
    }


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    return draw(gates()) | {
        "method": draw(st.sampled_from(["policy", "kelly"])),
        "horizon": draw(st.integers(1, 4)),
        "kelly_fraction": draw(st.sampled_from([0.05, 0.25])),
        "enter": draw(st.sampled_from([0.5, 0.65, 0.9])),
        "positions": "calm:1, trend:0.5, turbulent:-1",
    }


@st.composite
def ensembles(draw: st.DrawFn) -> dict[str, Any]:
    fast = draw(st.integers(1, 8))
    return draw(gates()) | {
        "members": draw(st.sampled_from(["both", "ma", "hmm"])),
        "fast": fast,
        "slow": fast + draw(st.integers(1, 12)),
        "ma_slope": draw(st.sampled_from([-1.0, 1.0, 4.0])),
        "ma_offset": draw(st.sampled_from([0.0, 0.3])),
        "ma_weight": draw(st.sampled_from([0.5, 1.3])),
        "hmm_slope": draw(st.sampled_from([1.0, 20.0])),
        "bias": draw(st.sampled_from([0.0, -0.2])),
        "enter": draw(st.sampled_from([0.5, 0.55, 0.6])),
        "full_edge": draw(st.sampled_from([0.05, 0.2, 1.0])),
        "ma_alone": draw(st.booleans()),
    }


@st.composite
def clocks(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(gates())
    for name in ("prior_bars", "stale_limit"):
        del chosen[name]
    return chosen | {
        "macro_positions": draw(st.sampled_from(["calm:1, turbulent:-1", "calm:1, turbulent:0"])),
        "micro_scales": "micro_calm:1, micro_turbulent:0.3",
        "horizon": draw(st.integers(0, 4)),
        "cap": draw(st.sampled_from([0.4, 1.0])),
        "enter": draw(st.sampled_from([0.5, 0.65, 0.9])),
        "least_slow_bars": draw(st.integers(1, 4)),
    }


def market(seed: int, count: int) -> list[Bar]:
    """A market of calm and wild stretches, with holes, silence, and now and then a bar no regime explains."""
    rng = np.random.default_rng(seed)
    wild = np.repeat(rng.random(count // 20 + 1) < 0.4, 20)[:count]
    returns = np.where(wild, 0.02, 0.004) * rng.normal(size=count)
    returns[rng.random(count) < 0.01] = 0.9
    bars, shift = [], 0
    for bar in bars_of(returns):
        if rng.random() < 0.03:
            shift += int(rng.integers(1, 7)) * HOUR_NS
        if rng.random() < 0.002:
            shift += HOUR_NS // 2
        moved = replace(bar, open_ns=bar.open_ns + shift, close_ns=bar.close_ns + shift)
        bars.append(replace(moved, volume=0.0, taker_base=0.0) if rng.random() < 0.02 else moved)
    return bars


def decisions(bars: list[Bar], params: Any, kind: Any = HmmPolicy) -> list[Said]:
    strategy = kind()
    state, said = strategy.initial(params), []
    for bar in bars:
        state, desired = strategy.step(params, state, Observation("BTCUSDT", "1h", bar, bar.close_ns))
        said.append(("", 0.0) if desired is None else (desired.reason, desired.target))
    return said


def compiled_decisions(
    bars: list[Bar], params: Any, *, machine_code: bool, kind: Any = HmmPolicy
) -> list[Said]:
    from trading.domain.backtest.machine import compiled_step

    declared = kind.compiled
    assert declared is not None
    step: Any = compiled_step(declared.function) if machine_code else declared.function
    vector, state = np.array(declared.numbers(params, "1h")), np.zeros(declared.state_size(params))
    said = []
    for bar in bars:
        code, target, *_ = step(
            vector, state, bar.close_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, 0.0, 0.0, 0.0
        )
        said.append(("", 0.0) if code == 0 else (declared.reasons[code - 1], target))
    return said


@given(st.integers(0, 10_000), st.integers(1, 250), st.sampled_from(["two", "three"]), policies())
@settings(max_examples=20, deadline=None)
def test_the_policy_says_the_same_at_every_bar_to_the_last_digit(
    models: dict[str, str], seed: int, count: int, model: str, chosen: dict[str, Any]
) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    params, bars = parse_params(HmmPolicy.Params, {"model": models[model], **chosen}), market(seed, count)
    assert compiled_decisions(bars, params, machine_code=True) == decisions(bars, params)


@given(st.integers(0, 10_000), st.integers(1, 250), st.sampled_from(["two", "three"]), ensembles())
@settings(max_examples=20, deadline=None)
def test_the_ensemble_says_the_same_at_every_bar_to_the_last_digit(
    models: dict[str, str], seed: int, count: int, model: str, chosen: dict[str, Any]
) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    params, bars = parse_params(Ensemble.Params, {"model": models[model], **chosen}), market(seed, count)
    told = compiled_decisions(bars, params, machine_code=True, kind=Ensemble)
    assert told == decisions(bars, params, Ensemble)


@given(st.integers(0, 10_000), st.integers(1, 400), clocks())
@settings(max_examples=20, deadline=None)
def test_the_two_clocks_say_the_same_at_every_bar_to_the_last_digit(
    models: dict[str, str], seed: int, count: int, chosen: dict[str, Any]
) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    params = parse_params(Hierarchical.Params, {"model": models["clocks"], **chosen})
    bars = market(seed, count)
    told = compiled_decisions(bars, params, machine_code=True, kind=Hierarchical)
    assert told == decisions(bars, params, Hierarchical)


def test_the_two_clocks_say_everything_they_can_say(models: dict[str, str]) -> None:
    values = {
        "model": models["clocks"], "refit_days": 30.0, "embargo": 20,
        "micro_scales": "micro_calm:1, micro_turbulent:0.3", "macro_positions": "calm:1, turbulent:-1",
        "allow_short": True, "longest_gap": 4,
    }  # fmt: skip
    told: set[str] = set()
    for floor, enter in ((0.05, 0.5), (0.6, 0.9)):
        params = parse_params(Hierarchical.Params, {**values, "confidence_floor": floor, "enter": enter})
        for seed in range(4):
            said = compiled_decisions(market(seed, 900), params, machine_code=False, kind=Hierarchical)
            assert said == decisions(market(seed, 900), params, Hierarchical)
            told |= {reason for reason, _ in said}
    assert told >= {
        "REGIME_LONG", "REGIME_WARMING", "SLOW_CLOCK_WARMING", "LOW_CONFIDENCE", "UNEXPLAINED_OBSERVATION",
        "MODEL_EXPIRED",
    }  # fmt: skip


def test_the_ensemble_takes_sides_and_lets_the_averages_decide_alone(models: dict[str, str]) -> None:
    values = {"model": models["two"], "allow_short": True, "slow": 9, "fast": 3, "ma_slope": 2.0}
    params = parse_params(Ensemble.Params, values)
    said = compiled_decisions(market(1, 900), params, machine_code=False, kind=Ensemble)
    assert said == decisions(market(1, 900), params, Ensemble)
    assert {"ENSEMBLE_LONG", "ENSEMBLE_SHORT", "NO_EDGE"} <= {reason for reason, _ in said}


def test_the_markets_above_shut_every_gate_and_open_it(models: dict[str, str]) -> None:
    values = {"confidence_floor": 0.3, "refit_days": 30.0, "embargo": 20, "positions": "calm:1, turbulent:-1"}
    told: set[str] = set()
    for enter in (0.65, 0.99):
        params = parse_params(
            HmmPolicy.Params, {"model": models["two"], "allow_short": True, "enter": enter, **values}
        )
        told |= {reason for seed in range(3) for reason, _ in decisions(market(seed, 900), params)}
    assert told >= {
        "REGIME_LONG", "REGIME_SHORT", "REGIME_FLAT", "REGIME_WARMING", "LOW_CONFIDENCE", "MODEL_EXPIRED",
        "MODEL_FROM_THE_FUTURE", "UNEXPLAINED_OBSERVATION",
    }  # fmt: skip


def test_as_plain_python_it_says_the_same(models: dict[str, str]) -> None:
    params = parse_params(
        HmmPolicy.Params, {"model": models["three"], "positions": "calm:1, trend:0.5, turbulent:0"}
    )
    bars = market(3, 400)
    assert compiled_decisions(bars, params, machine_code=False) == decisions(bars, params)


def hours(seed: int, count: int) -> BarSeries:
    """A market in ticks, on the hours behind the models' training."""
    rng = np.random.default_rng(seed)
    close = (2_000_000 * np.exp(np.cumsum(rng.normal(0, 0.006, count)))).astype(np.int64)
    opens = np.concatenate(([2_000_000], close[:-1]))
    open_ns = T0_NS + np.arange(count, dtype=np.int64) * HOUR_NS
    volume = rng.gamma(2.0, 5.0, count)
    return BarSeries(
        spot(), "1h", open_ns, open_ns + HOUR_NS - 1_000_000, opens, np.maximum(opens, close) + 500,
        np.minimum(opens, close) - 500, close, volume, volume * close / 100, np.ones(count, np.int64), volume / 2,
    )  # fmt: skip


@pytest.mark.parametrize("interpreted", [True, False])
@pytest.mark.parametrize("kind", [HmmPolicy, Ensemble, Hierarchical])
def test_both_engines_end_with_the_same_bytes(models: dict[str, str], kind: Any, interpreted: bool) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    model = models["clocks" if kind is Hierarchical else "three"]
    values: dict[str, Any] = {"model": model, "confidence_floor": 0.0}
    if kind is Hierarchical:
        values |= {
            "macro_positions": "calm:1, turbulent:0",
            "micro_scales": "micro_calm:1, micro_turbulent:0.3",
        }
    if kind is HmmPolicy:
        values["positions"] = "calm:1, trend:0.5, turbulent:0"
    params = parse_params(kind.Params, values)
    for seed in (1, 2):
        inputs = Inputs([hours(seed, 700)], [Assignment("BTCUSDT", kind(), params)], Settings())
        compiled = run_compiled(inputs, interpreted=interpreted)
        same(run(inputs), compiled)
        assert len(compiled.ledger.fills) > 5


def test_a_model_that_needs_more_than_the_step_is_given_takes_the_python_engine(
    models: dict[str, str],
) -> None:
    params = parse_params(HmmPolicy.Params, {"model": models["flow"]})
    inputs = Inputs([hours(1, 50)], [Assignment("BTCUSDT", HmmPolicy(), params)], Settings())
    assert why_not(inputs) == "its model's features need imbalance"
