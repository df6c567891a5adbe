"""The look-ahead test on whole strategies and on a regime model: causal ones pass, planted leaks are named."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from tests.unit.trading.domain.research.models import two_states
from tests.unit.trading.domain.research.series import inputs_of, walk
from trading.domain.research.lookahead import find_lookahead
from trading.domain.research.model_subject import regime_subject
from trading.domain.research.subjects import bar_table, series_of, strategy_subject
from trading.domain.strategies import Desired, Strategy, load_strategy, parameter

AVERAGE = load_strategy("moving_average")
SERIES = walk(300)


@dataclass(frozen=True)
class NoParams:
    size: float = parameter(1.0, ge=0.0, le=1.0)


class Remembering(Strategy):
    """Plants the classic leak: a table of closes shared by all runs, read one bar ahead."""

    name = "remembering"
    Params = NoParams
    closes: ClassVar[dict[int, float]] = {}

    def warmup(self, params):
        return 1

    def initial(self, params):
        return 0

    def step(self, params, state, observation):
        bar = observation.bar
        self.closes[bar.open_ns] = bar.close
        following = self.closes.get(bar.open_ns + 60 * 10**9, bar.close)
        return state, Desired(params.size if following > bar.close else 0.0)


class Blind(Strategy):
    """Draws its target from a generator seeded once for all runs: not a function of what it saw."""

    name = "blind"
    Params = NoParams
    rng = np.random.default_rng(1)

    def warmup(self, params):
        return 1

    def initial(self, params):
        return 0

    def step(self, params, state, observation):
        return state, Desired(float(self.rng.random() > 0.5))


def check(strategy, params, series=SERIES, cuts=10):
    subject = strategy_subject(inputs_of(series, strategy, params), strategy, params)
    return find_lookahead(subject, bar_table(series), rng=np.random.default_rng(2), cuts=cuts)


def test_a_causal_strategy_passes_with_its_decisions_and_its_orders():
    report = check(AVERAGE(), AVERAGE.Params(fast=3, slow=9))
    assert report.passed
    assert {"target", "confidence", "reason", "order", "position", "feature:fast"} <= set(report.columns)


@pytest.mark.parametrize("seed", range(3))
def test_it_passes_on_any_noise(seed):
    assert check(AVERAGE(), AVERAGE.Params(fast=2, slow=5), walk(150, seed), cuts=6).passed


@pytest.mark.parametrize("strategy", [Remembering(), Blind()])
def test_a_strategy_that_keeps_something_outside_its_state_is_named(strategy):
    report = check(strategy, NoParams())
    leak = next(leak for leak in report.leaks if leak.column == "target")
    assert leak.found_by == "repetition"
    assert "keeps state outside" in leak.hint
    assert {"order", "position"} <= {leak.column for leak in report.leaks}


def test_a_table_becomes_the_series_it_came_from():
    again = series_of(bar_table(SERIES), SERIES)
    assert again.digest == SERIES.digest


def test_features_and_filtered_probabilities_know_nothing_of_later_bars():
    series = walk(120, seed=3)
    subject = regime_subject(two_states(), "ab" * 32, series)
    report = find_lookahead(subject, bar_table(series), rng=np.random.default_rng(4), cuts=8)
    assert report.passed
    assert {"feature:log_return", "live:volatility", "state:0", "state:1", "log_score"} <= set(report.columns)


def test_smoothed_probabilities_in_their_place_are_found_out():
    series = walk(120, seed=3)
    honest = regime_subject(two_states(), "ab" * 32, series)

    def smoothed(table):
        told = dict(honest(table))
        after = np.concatenate((told["state:1"][1:], told["state:1"][-1:]))
        return {**told, "state:1": 0.5 * told["state:1"] + 0.5 * after}

    report = find_lookahead(smoothed, bar_table(series), rng=np.random.default_rng(4), cuts=8)
    assert [leak.column for leak in report.leaks] == ["state:1"]
    assert report.leaks[0].reach == 1
