"""The two-clock strategy: its filter, its slow bars, its gates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trading.domain.strategies.regimes import (
    DAY_NS,
    HOUR_NS,
    T0_NS,
    artefact,
    bars_of,
    calm_then_wild,
    reasons,
    run,
    targets,
    two_clock_model,
    write,
)
from trading.domain.regime.features import BarColumns
from trading.domain.regime.filter import ClosedBar
from trading.domain.regime.resample import slow_bars
from trading.domain.regime.two_clock_filter import TwoClockFilter
from trading.domain.strategies import Bar, ParameterError, parse_params, registry
from trading.domain.strategies.slow_bar import GrowingBar, grow

Hierarchical = registry()["hierarchical_hmm"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    return tmp_path / "models"


def params(home: Path, floor: float = -40.0, gain: float = 1.0, **values: Any) -> Any:
    digest = write(home, artefact(two_clock_model(), floor=floor, held_out={"gain": gain}))
    return parse_params(Hierarchical.Params, {"model": digest} | values)


def columns(bars: list[Bar]) -> BarColumns:
    rows = {
        name: np.array([getattr(bar, name) for bar in bars])
        for name in ("high", "low", "close", "volume", "taker_base")
    }
    return BarColumns(np.array([bar.close_ns for bar in bars]), HOUR_NS, **rows)


def closed(source: BarColumns, at: int) -> ClosedBar:
    return ClosedBar(
        int(source.close_ns[at]), float(source.high[at]), float(source.low[at]),
        float(source.close[at]), float(source.volume[at]), float(source.taker_base[at]),
    )  # fmt: skip


def test_slow_bars_grown_bar_by_bar_are_those_of_the_training() -> None:
    bars = bars_of(calm_then_wild(100, 44), first=-7)
    del bars[60]  # a day with a hole is no bar
    expected = slow_bars(columns(bars), DAY_NS)
    growing, made = GrowingBar(), []
    for bar in bars:
        growing, whole = grow(growing, bar, HOUR_NS, DAY_NS)
        if whole is not None:
            made.append((bar.close_ns, whole.high, whole.low, bar.close, whole.volume, whole.taker_base))
    assert len(made) == len(expected)
    for at, one in enumerate(made):
        want = closed(expected, at)
        assert one[:4] == (want.close_ns, want.high, want.low, want.close)
        assert one[4:] == pytest.approx((want.volume, want.taker_base), rel=1e-12)


def test_its_probabilities_are_the_exact_joint_filters(home: Path) -> None:
    bars = bars_of(calm_then_wild(150, 90))
    said, _ = run(Hierarchical(), params(home), bars)
    fast, slow = columns(bars), slow_bars(columns(bars), DAY_NS)
    ends = {int(ns): at for at, ns in enumerate(slow.close_ns)}
    running = TwoClockFilter(two_clock_model(), "x")
    for at, desired in enumerate(said):
        end = ends.get(bars[at].close_ns)
        reading = running.step(closed(fast, at), None if end is None else closed(slow, end))
        if reading is not None:
            assert desired.features["p_calm"] == pytest.approx(reading.macro[0], abs=1e-12)
            assert desired.features["p_micro_calm"] == pytest.approx(reading.micro[0], abs=1e-12)
    assert running.close_ns == bars[-1].close_ns


def test_the_slow_regime_gates_and_the_fast_one_scales(home: Path) -> None:
    said, _ = run(Hierarchical(), params(home, band=0.0, horizon=0), bars_of(calm_then_wild(240, 240)))
    calm, wild = said[200], said[-1]
    assert calm.reason == "REGIME_LONG"
    macro, micro = calm.features["p_calm"], calm.features["p_micro_calm"]
    assert calm.target == pytest.approx(macro * (micro + 0.5 * (1 - micro)), rel=1e-12)
    assert (wild.target, wild.reason) == (0.0, "REGIME_FLAT")


def test_the_fast_regime_is_carried_ahead_by_the_transitions_of_the_slow_ones(home: Path) -> None:
    said, _ = run(Hierarchical(), params(home, band=0.0, horizon=3), bars_of(calm_then_wild(240, 0)))
    told = said[200].features
    macro, micro = (np.array([told[f"p_{one}calm"], told[f"p_{one}turbulent"]]) for one in ("", "micro_"))
    mixed = np.einsum("k,kmn->mn", macro, two_clock_model().hmm.chain.micro_transition)
    expected = micro @ np.linalg.matrix_power(mixed, 3) @ np.array([1.0, 0.5])
    assert told["scale"] == pytest.approx(float(expected), rel=1e-12)


def test_nothing_is_held_before_slow_bars_were_observed(home: Path) -> None:
    chosen = params(home, least_slow_bars=2)
    said, _ = run(Hierarchical(), chosen, bars_of(calm_then_wild(120, 0)))
    assert set(targets(said)[:47]) == {0.0}
    assert reasons(said)[46] == "SLOW_CLOCK_WARMING"
    assert next(i for i, one in enumerate(said) if one.target > 0) < Hierarchical().warmup(chosen)


def test_a_model_that_did_not_beat_the_flat_one_is_refused(home: Path) -> None:
    with pytest.raises(ParameterError, match="does not beat the flat model"):
        params(home, gain=-0.1)
    assert params(home, gain=-0.1, require_gain=False).require_gain is False


def test_a_model_that_was_never_compared_is_refused(home: Path) -> None:
    digest = write(home, artefact(two_clock_model()))
    with pytest.raises(ParameterError, match="never compared"):
        parse_params(Hierarchical.Params, {"model": digest})


def test_bars_of_the_training_window_are_not_traded(home: Path) -> None:
    bars = bars_of(calm_then_wild(240, 0), first=-120)
    said, _ = run(Hierarchical(), params(home), bars)
    inside = [one for one, bar in zip(said, bars, strict=True) if bar.close_ns < T0_NS]
    assert set(targets(inside)) == {0.0}
    assert inside[-1].reason == "MODEL_FROM_THE_FUTURE"
    assert said[-1].target > 0


def test_a_model_past_its_refit_limit_holds_nothing(home: Path) -> None:
    said, _ = run(Hierarchical(), params(home, refit_days=4.0), bars_of(calm_then_wild(120, 0)))
    assert said[95].target > 0
    assert set(reasons(said)[96:]) == {"MODEL_EXPIRED"}


def test_an_observation_no_regime_explains_closes_the_gate(home: Path) -> None:
    returns = [*calm_then_wild(100, 0), 0.15]
    said, _ = run(Hierarchical(), params(home, floor=-10.0), bars_of(returns))
    assert said[-2].target > 0
    assert (said[-1].target, said[-1].reason) == (0.0, "UNEXPLAINED_OBSERVATION")


def test_behind_a_long_gap_both_clocks_begin_anew(home: Path) -> None:
    bars = bars_of(calm_then_wild(240, 0))
    said, _ = run(Hierarchical(), params(home), [*bars[:100], *bars[144:]])
    fresh, _ = run(Hierarchical(), params(home), bars[144:])
    assert said[100:] == fresh


def test_a_short_gap_is_let_pass_and_its_day_is_no_slow_bar(home: Path) -> None:
    bars = bars_of(calm_then_wild(150, 0))
    said, state = run(Hierarchical(), params(home), [*bars[:100], *bars[103:]])
    assert (said[100].target, said[100].reason) == (0.0, "REGIME_WARMING")
    # Six days of 24 bars, less the one with the hole.
    assert state["filter"]["slow_bars"] == 5


def test_a_foreign_state_is_not_continued(home: Path) -> None:
    chosen, bars = params(home), bars_of(calm_then_wild(200, 0))
    _, state = run(Hierarchical(), chosen, bars[:100])
    foreign = state | {"filter": state["filter"] | {"model_digest": "ab" * 32}}
    said, _ = run(Hierarchical(), chosen, bars[100:], state=foreign)
    assert (said[0].target, said[0].reason) == (0.0, "REGIME_WARMING")


def test_bars_of_another_interval_are_refused(home: Path) -> None:
    with pytest.raises(ParameterError, match="served 15m"):
        run(Hierarchical(), params(home), bars_of(calm_then_wild(5, 0)), interval="15m")


@pytest.mark.parametrize(
    ("values", "field"),
    [({"micro_scales": "micro_calm:-1, micro_turbulent:1"}, "micro_scales"), ({"leave": 0.9}, "leave"),
     ({"macro_positions": "calm:1"}, "macro_positions")],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], field: str, home: Path) -> None:
    with pytest.raises(ParameterError) as refused:
        params(home, **values)
    assert refused.value.field == field
