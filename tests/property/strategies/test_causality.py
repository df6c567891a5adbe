"""No built-in strategy knows what comes next, nor forgets anything when its state is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.strategies.streams import NAMES, busy, stream
from trading.domain.strategies import Desired, Observation, Strategy

LENGTH = 90
few = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def said(
    strategy: Strategy, params: Any, seen: list[Observation], *, reload: bool = False
) -> list[Desired | None]:
    state, told = strategy.initial(params), []
    for observation in seen:
        if reload:
            state = strategy.load(strategy.dump(state))
        state, desired = strategy.step(params, state, observation)
        told.append(desired)
    return told


@pytest.mark.parametrize("name", NAMES)
@few
@given(seed=st.integers(0, 9_999), cut=st.integers(1, LENGTH - 1))
def test_what_it_says_on_a_beginning_is_what_it_says_on_the_whole(
    name: str, tmp_path: Path, seed: int, cut: int
) -> None:
    strategy, params = busy(name, tmp_path)
    whole = said(strategy, params, stream(name, seed, LENGTH))
    assert said(strategy, params, stream(name, seed, cut)) == whole[:cut]


@pytest.mark.parametrize("name", NAMES)
@few
@given(seed=st.integers(0, 9_999), cut=st.integers(1, LENGTH - 1))
def test_another_future_changes_nothing_before_it(name: str, tmp_path: Path, seed: int, cut: int) -> None:
    strategy, params = busy(name, tmp_path)
    first, other = stream(name, seed, LENGTH), stream(name, seed + 1, LENGTH)
    later = [one for one in other if one.now_ns > first[cut - 1].now_ns]
    mixed = said(strategy, params, [*first[:cut], *later])
    assert mixed[:cut] == said(strategy, params, first)[:cut]


@pytest.mark.parametrize("name", NAMES)
@few
@given(seed=st.integers(0, 9_999))
def test_a_state_written_down_and_read_back_at_every_step_changes_nothing(
    name: str, tmp_path: Path, seed: int
) -> None:
    strategy, params = busy(name, tmp_path)
    seen = stream(name, seed, LENGTH)
    assert said(strategy, params, seen, reload=True) == said(strategy, params, seen)


@pytest.mark.parametrize("name", NAMES)
@few
@given(seed=st.integers(0, 9_999))
def test_everything_it_says_can_be_stored_as_json(name: str, tmp_path: Path, seed: int) -> None:
    strategy, params = busy(name, tmp_path)
    for desired in said(strategy, params, stream(name, seed, LENGTH)):
        if desired is not None:
            features = dict(desired.features)
            assert json.loads(json.dumps(features, allow_nan=False)) == features
            assert {type(value) for value in (desired.target, desired.confidence)} <= {float, int}


@pytest.mark.parametrize("name", NAMES)
def test_the_streams_make_it_change_its_mind(name: str, tmp_path: Path) -> None:
    # Otherwise the properties above would hold for a strategy that says nothing.
    strategy, params = busy(name, tmp_path)
    answers = set()
    for seed in range(6):
        for desired in said(strategy, params, stream(name, seed, LENGTH)):
            answers.add(None if desired is None else (desired.target, desired.reason, desired.quotes))
    assert len(answers) > 2
