"""The leaderboard: ranked by what returns prove, with intervals that hold for all together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from governance.domain.allocation.methods import yearly_sharpe
from governance.domain.leaderboard import ACTIVE, LEAST, leaderboard
from governance.domain.policies.capital import capital_policy, capital_values
from governance.domain.policies.located import node_of

HOUR = 3600.0
CAPITAL = capital_policy(capital_values(node_of({})))
YEAR = math.sqrt(365 * 24)


def drawn(mean: float, sd: float, count: int, seed: int) -> list[float]:
    """Normal returns with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).normal(0, 1, count)
    values = (values - values.mean()) / values.std(ddof=1)
    return list(mean + sd * values)


def test_the_sharpe_ratio_is_that_of_returns_over_a_year() -> None:
    """W81: the earlier one was mean over deviation of cumulative results within ten minutes."""
    (row,) = leaderboard({"a": drawn(0.0002, 0.01, 500, 1)}, period_s=HOUR)
    assert row.sharpe == pytest.approx(0.02 * YEAR)
    assert row.total == pytest.approx(0.1)
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.sharpe < row.high


def test_the_interval_is_as_wide_as_theory_says() -> None:
    # Of n independent normal returns the ratio has a standard error of about sqrt((1 + SR^2 / 2) / n).
    (row,) = leaderboard({"a": drawn(0.0, 0.01, 700, 2)}, period_s=HOUR)
    assert row.high is not None
    assert row.low is not None
    assert (row.high - row.low) / YEAR == pytest.approx(2 * 1.96 / math.sqrt(700), rel=0.15)


def test_a_short_lucky_streak_does_not_lead_a_long_good_record() -> None:
    board = leaderboard(
        {"lucky": drawn(0.002, 0.01, LEAST, 3), "steady": drawn(0.0018, 0.01, 700, 4)}, period_s=HOUR
    )
    lucky, steady = (next(row for row in board if row.strategy == name) for name in ("lucky", "steady"))
    assert lucky.sharpe is not None
    assert steady.sharpe is not None
    assert lucky.sharpe > steady.sharpe
    assert (steady.rank, lucky.rank) == (1, 2)
    assert steady.verdict == "above zero"
    assert lucky.verdict == "not told apart from zero; may be as good as steady"


def test_what_is_certainly_worse_is_said_to_be() -> None:
    board = leaderboard(
        {"good": drawn(0.003, 0.01, 700, 5), "bad": drawn(-0.003, 0.01, 700, 6)}, period_s=HOUR
    )
    assert [row.strategy for row in board] == ["good", "bad"]
    assert board[1].verdict == "below zero; worse than good"


def test_with_more_strategies_each_has_to_prove_more() -> None:
    alone = leaderboard({"a": drawn(0.0008, 0.01, 700, 7)}, period_s=HOUR)[0]
    noise = {f"n{number}": drawn(0.0, 0.01, 700, 10 + number) for number in range(9)}
    among = next(
        row
        for row in leaderboard({"a": drawn(0.0008, 0.01, 700, 7), **noise}, period_s=HOUR)
        if row.strategy == "a"
    )
    assert among.low is not None
    assert alone.low is not None
    assert among.low < alone.low
    assert among.probability is not None
    assert alone.probability is not None
    assert among.probability < alone.probability


def test_too_little_or_nothing_is_no_rank() -> None:
    board = leaderboard({"new": [0.01] * (LEAST - 1), "still": [0.0] * 100, "none": []}, period_s=HOUR)
    assert {row.strategy: (row.rank, row.verdict) for row in board} == {
        "new": (None, f"{LEAST - 1} returns of the {LEAST} it takes"),
        "still": (None, "its returns do not vary"),
        "none": (None, f"0 returns of the {LEAST} it takes"),
    }


def test_an_idle_strategy_with_one_win_has_no_rank() -> None:
    """99 hours of nothing and one win: most resamples draw no win at all, so its interval never went below zero."""
    idle = [0.0] * 100
    idle[50] = 0.01
    board = leaderboard({"idle": idle, "works": drawn(0.001, 0.01, 200, 11)}, period_s=HOUR)
    assert [(row.strategy, row.rank) for row in board] == [("works", 1), ("idle", None)]
    assert board[1].verdict == f"1 returns other than zero of the {ACTIVE} it takes"
    busy = [0.01, -0.009] * (ACTIVE // 2) + [0.0] * 100
    assert leaderboard({"busy": busy}, period_s=HOUR)[0].rank == 1
    assert leaderboard({"busy": busy[1:]}, period_s=HOUR)[0].rank is None


def test_returns_that_hardly_vary_are_an_error_of_data_and_no_ratio() -> None:
    noise = np.random.default_rng(0).normal(size=100)
    (row,) = leaderboard({"const": list(0.001 + 1e-9 * noise)}, period_s=HOUR)
    assert (row.rank, row.verdict) == (None, "its returns do not vary")


def test_a_year_is_the_allocators() -> None:
    (row,) = leaderboard({"a": drawn(0.0002, 0.01, 500, 1)}, period_s=HOUR)
    assert row.sharpe == pytest.approx(yearly_sharpe(CAPITAL, np.array(drawn(0.0002, 0.01, 500, 1))))


def test_the_deepest_fall_is_a_fraction_of_the_peak() -> None:
    """W81: the earlier drawdown was a range in USD. From 1.25 it falls by 0.5, two fifths."""
    (row,) = leaderboard({"a": [0.25, -0.5, 0.1]}, period_s=HOUR)
    assert row.deepest == pytest.approx(0.4)


def test_the_same_returns_give_the_same_board() -> None:
    histories = {"a": drawn(0.001, 0.01, 300, 8), "b": drawn(0.0, 0.02, 300, 9)}
    assert leaderboard(histories, period_s=HOUR) == leaderboard(
        dict(reversed(histories.items())), period_s=HOUR
    )
