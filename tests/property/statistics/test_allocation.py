"""Allocation never exceeds pool or caps, whatever the method, the data and the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.allocation import (
    CapitalLimits,
    GroupCap,
    HedgeState,
    Pace,
    best_probabilities,
    capped_kelly,
    desired_amounts,
    drawdown_multiplier,
    equal_weights,
    hedge_observe,
    inverse_volatility,
    paced,
    project,
    risk_budget,
    risk_contributions,
    with_floor,
)

NAMES = list("abcdefg")
units = st.integers(0, 10**14)
desires = st.dictionaries(st.sampled_from(NAMES), units, max_size=7)
groups = st.lists(
    st.builds(GroupCap, st.sampled_from(["x", "y", "z"]), st.frozensets(st.sampled_from(NAMES)), units),
    max_size=3,
).map(tuple)
limits = st.builds(
    CapitalLimits,
    pool=units,
    default_cap=units,
    caps=st.dictionaries(st.sampled_from(NAMES), units),
    groups=groups,
    minimum=st.integers(0, 10**12),
    stopped=st.frozensets(st.sampled_from(NAMES), max_size=2),
    max_increase=st.none() | units,
)
current = st.dictionaries(st.sampled_from(NAMES), units)


@st.composite
def covariances(draw, n):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-3, 0, n)
    x = rng.normal(size=(n + 5, n)) * scale
    return x.T @ x / (n + 5)


@settings(max_examples=400)
@given(desires, limits, current)
def test_no_limit_is_ever_exceeded(desired, limit, now):
    found = {grant.strategy: grant.amount for grant in project(desired, limit, now)}
    assert found.keys() == desired.keys()
    assert sum(found.values()) <= limit.pool
    for name, amount in found.items():
        assert 0 <= amount <= min(desired[name], limit.caps.get(name, limit.default_cap))
        assert amount == 0 or amount >= limit.minimum
        assert amount == 0 or name not in limit.stopped
        if limit.max_increase is not None:
            assert amount <= now.get(name, 0) + limit.max_increase
    for group in limit.groups:
        assert sum(found.get(name, 0) for name in group.members) <= group.cap


@settings(max_examples=400)
@given(desires, limits, current)
def test_projecting_twice_changes_nothing(desired, limit, now):
    once = {grant.strategy: grant.amount for grant in project(desired, limit, now)}
    twice = project(once, limit, now)
    assert {grant.strategy: grant.amount for grant in twice} == once
    assert all(grant.adjustments == () for grant in twice)


@settings(max_examples=400)
@given(desires, limits, current)
def test_the_explanation_leads_from_the_wish_to_the_grant_without_a_gap(desired, limit, now):
    for grant in project(desired, limit, now):
        at = desired[grant.strategy]
        for step in grant.adjustments:
            assert step.before == at > step.after
            at = step.after
        assert at == grant.amount


@settings(max_examples=200)
@given(st.integers(1, 6).flatmap(covariances), st.data())
def test_every_method_gives_weights_a_pool_can_pay(cov, data):
    n = len(cov)
    means = data.draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n))
    cap = data.draw(st.floats(0.05, 1.0))
    kelly = capped_kelly(means, cov, fraction=0.5, cap=cap)
    assert (kelly <= cap + 1e-12).all()
    for weights in (
        equal_weights(n),
        inverse_volatility(np.sqrt(np.diag(cov))),
        risk_budget(cov),
        kelly,
        best_probabilities(means, np.sqrt(np.diag(cov))),
        with_floor(equal_weights(n), 0.5 / n),
    ):
        assert (np.asarray(weights) >= 0).all()
        assert np.sum(weights) <= 1 + 1e-12
        pool = data.draw(units)
        named = dict(zip(NAMES, weights.tolist(), strict=False))
        granted = project(desired_amounts(named, pool), CapitalLimits(pool=pool, default_cap=pool))
        assert sum(grant.amount for grant in granted) <= pool


@settings(max_examples=100)
@given(st.integers(2, 6).flatmap(covariances))
def test_risk_parity_contributions_are_equal_on_any_covariance(cov):
    n = len(cov)
    assert risk_contributions(risk_budget(cov), cov) == pytest.approx(np.full(n, 1 / n), abs=1e-6)


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=40),
    st.floats(0.01, 50),
    st.floats(0, 1),
)
def test_hedge_weights_always_sum_to_one(losses, eta, share):
    state = HedgeState((1 / 3,) * 3)
    for row in losses:
        state = hedge_observe(state, row, eta=eta, share=share)
        assert sum(state.weights) == pytest.approx(1.0)
        assert min(state.weights) >= 0


@given(st.floats(0, 3), st.floats(0, 3), st.floats(0, 0.5), st.floats(0.01, 0.5))
def test_a_deeper_fall_never_gets_more_capital(one, other, soft, width):
    low, high = sorted((one, other))
    multiplier = [drawdown_multiplier(dd, soft, soft + width) for dd in (low, high)]
    assert 1 >= multiplier[0] >= multiplier[1] >= 0


@given(units, units, st.none() | st.floats(0, 1e5))
def test_a_step_never_leaves_the_way_to_the_wish(desired, now, since):
    found = paced(desired, now, Pace(smallest_step=10**9), since_change_s=since).amount
    assert min(desired, now) <= found <= max(desired, now)
