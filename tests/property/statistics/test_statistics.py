"""Invariants of the statistics: scale, order, bounds, and JSON that never holds NaN."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.research.splits import cpcv_splits, purged_train, walk_forward_windows
from trading.domain.statistics import (
    DAY_NS,
    RoundTrips,
    Trials,
    by_month,
    by_regime,
    drawdown_episodes,
    drawdowns,
    equity_curve,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
    summary,
)
from trading.domain.statistics.risk import historical_tail
from trading.domain.statistics.sequential import betting_log_wealth

steps = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=120)
scales = st.floats(1e-3, 1e9)


def curve_of(returns, start=100.0):
    return start * np.concatenate(([1.0], np.cumprod(1.0 + np.array(returns))))


@settings(max_examples=150)
@given(steps, st.integers(1, 3 * DAY_NS), st.none() | st.floats(0, 1e12))
def test_a_summary_is_always_json_and_every_null_has_a_reason(returns, step, traded):
    equity = curve_of(returns)
    n = len(equity)
    trips = RoundTrips(np.arange(n - 1) * step, np.arange(1, n) * step, np.diff(equity), np.full(n - 1, 10.0))
    found = summary(
        np.arange(n) * step,
        equity,
        exposure=equity * 0.5,
        traded_notional=traded,
        trips=trips,
        trials=Trials(10.0, 1.0),
    ).as_json()
    json.dumps(found, allow_nan=False)
    nulls = {k for k, v in found.items() if v is None}
    nulls |= {f"{g}.{k}" for g in ("trades", "activity") for k, v in found[g].items() if v is None}
    assert nulls == set(found["undefined"])


@settings(max_examples=150)
@given(steps, scales)
def test_the_size_of_the_account_changes_no_ratio(returns, scale):
    small, large = curve_of(returns), curve_of(returns, 100.0 * scale)
    assert max_drawdown(small) == pytest.approx(max_drawdown(large), abs=1e-9)
    one = summary(np.arange(len(small)) * DAY_NS, small)
    other = summary(np.arange(len(large)) * DAY_NS, large)
    if one.sharpe.value is not None and other.sharpe.value is not None and abs(one.sharpe.value) < 1e6:
        assert one.sharpe.value == pytest.approx(other.sharpe.value, rel=1e-4, abs=1e-6)


@settings(max_examples=150)
@given(steps)
def test_the_deepest_episode_is_the_maximum_and_episodes_do_not_overlap(returns):
    curve = equity_curve(np.arange(len(returns) + 1), curve_of(returns))
    episodes = drawdown_episodes(curve)
    assert max((e.depth for e in episodes), default=0.0) == max_drawdown(curve.equity)
    inside = sorted((e.peak_ns, e.recovered_ns or 10**9) for e in episodes)
    assert all(a[1] <= b[0] for a, b in pairwise(inside))
    depth = drawdowns(curve.equity)
    assert (depth >= 0).all()
    assert len(episodes) == np.count_nonzero((depth[1:] > 0) & (depth[:-1] == 0))


@settings(max_examples=150)
@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=80), st.randoms(use_true_random=False))
def test_the_order_of_returns_changes_no_ratio(returns, shuffler):
    other = list(returns)
    shuffler.shuffle(other)
    for ratio in (sharpe_ratio, sortino_ratio):
        a, b = ratio(returns), ratio(other)
        assert (a.value is None) == (b.value is None)
        if a.value is not None:
            assert a.value == pytest.approx(b.value, rel=1e-9, abs=1e-12)


@settings(max_examples=150)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_var_is_exceeded_no_more_often_than_it_promises(returns, level):
    found = historical_tail(returns, level)
    exceeded = np.count_nonzero(-np.array(returns) > found.var)
    assert exceeded <= len(returns) * (1 - level) + 1e-6
    assert found.es >= found.var


@settings(max_examples=100)
@given(steps, st.data())
def test_months_and_regimes_divide_the_whole_without_rest(returns, data):
    equity = curve_of(returns)
    curve = equity_curve(np.arange(len(equity)) * 5 * DAY_NS, equity)
    total = equity[-1] / equity[0]
    assert np.prod([1 + row.total_return for row in by_month(curve)]) == pytest.approx(total, rel=1e-9)
    regimes = data.draw(st.lists(st.integers(-1, 2), min_size=len(equity), max_size=len(equity)))
    rows = by_regime(curve, np.array(regimes))
    assert np.prod([1 + row.total_return for row in rows]) == pytest.approx(total, rel=1e-9)
    assert sum(row.share for row in rows) == pytest.approx(1.0)


@settings(max_examples=150)
@given(st.integers(2, 80), st.integers(0, 5), st.integers(0, 5), st.data())
def test_purged_training_rows_never_touch_the_test(n, horizon, embargo, data):
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    rows = purged_train(n, start, stop, horizon=horizon, embargo=embargo)
    assert not np.isin(rows, np.arange(start, stop)).any()
    assert (rows[rows < start] + horizon < start).all()
    assert (rows[rows >= stop] >= stop + horizon + embargo).all()


@settings(max_examples=100)
@given(st.integers(20, 400), st.integers(1, 60), st.integers(1, 60), st.integers(0, 10), st.booleans())
def test_walk_forward_tests_cover_the_rest_once_and_training_always_lies_before(n, train, test, gap, roll):
    if n < train + gap + test:
        return
    windows = walk_forward_windows(n, train=train, test=test, gap=gap, mode="rolling" if roll else "anchored")
    covered = [row for w in windows for row in range(w.test_start, w.test_stop)]
    assert covered == list(range(train + gap, n))
    assert all(w.train_stop + gap == w.test_start and w.train_start < w.train_stop for w in windows)
    assert all(w.test_stop - w.test_start >= test / 2 for w in windows)


@settings(max_examples=50)
@given(st.integers(30, 200), st.integers(3, 6), st.integers(0, 1), st.integers(0, 2))
def test_combinatorial_tests_use_every_row_equally_often(n, groups, horizon, embargo):
    splits = cpcv_splits(n, groups=groups, test_groups=1, horizon=horizon, embargo=embargo)
    used = np.concatenate([rows for split in splits for rows in split.tests])
    assert sorted(used.tolist()) == list(range(n))


@settings(max_examples=150)
@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0.05, 0.95))
def test_a_bettor_is_never_ruined(outcomes, m0):
    assert np.isfinite(betting_log_wealth(outcomes, m0)).all()
