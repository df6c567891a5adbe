"""Tail risk, its check, liquidation and exposure beyond the published cases."""

from decimal import Decimal

import numpy as np
import pytest
from scipy import stats

from trading.domain.statistics.risk import (
    exposures,
    historical_tail,
    kupiec_test,
    liquidation_price,
    normal_tail,
    student_tail,
    worse_tail,
)


def test_historical_var_picks_the_order_statistic_also_where_n_a_is_whole():
    losses = np.arange(1.0, 101.0)
    found = historical_tail(-losses, 0.95)
    assert found.var == 95.0
    assert found.es == pytest.approx(95.0 + (1 + 2 + 3 + 4 + 5) / 5)


def test_expected_shortfall_is_never_below_var():
    returns = np.random.default_rng(1).standard_t(3, 777)
    for level in (0.5, 0.9, 0.975, 0.999):
        found = historical_tail(returns, level)
        assert found.es >= found.var


def test_the_student_law_tends_to_the_normal_one():
    near, limit = student_tail(0.001, 0.02, 1e7, 0.99), normal_tail(0.001, 0.02, 0.99)
    assert near.var == pytest.approx(limit.var, rel=1e-5)
    assert near.es == pytest.approx(limit.es, rel=1e-5)


def test_expected_shortfall_of_student_is_the_mean_of_the_tail():
    tail = stats.t(5).expect(lambda x: x, lb=stats.t.ppf(0.975, 5)) / 0.025 * (3 / 5) ** 0.5
    assert student_tail(0.0, 1.0, 5.0, 0.975).es == pytest.approx(tail, rel=1e-6)


def test_the_worse_estimate_uses_history_only_when_there_is_enough():
    rng = np.random.default_rng(2)
    crash = np.concatenate((rng.normal(0, 0.01, 598), [-0.6, -0.7]))
    assert worse_tail(crash, 0.999).var == historical_tail(crash, 0.999).var
    few = crash[-100:]
    assert worse_tail(few, 0.99) == student_tail(few.mean(), few.std(ddof=1), 5.0, 0.99)


def test_kupiec_accepts_what_was_promised_and_rejects_too_few_as_well():
    assert kupiec_test(10, 1000, 0.01).lr == pytest.approx(0.0, abs=1e-12)
    assert kupiec_test(10, 1000, 0.01).p_value == pytest.approx(1.0)
    none = kupiec_test(0, 1000, 0.01)
    assert none.lr == pytest.approx(-2000 * np.log(0.99))
    assert none.p_value == pytest.approx(stats.chi2.sf(none.lr, 1))
    assert kupiec_test(1000, 1000, 0.01).p_value < 1e-12
    with pytest.raises(ValueError, match="exceptions"):
        kupiec_test(3, 2, 0.01)


def test_at_the_liquidation_price_equity_equals_maintenance_margin():
    for side in (1, -1):
        q, entry, wallet, rate, amount = (Decimal(x) for x in ("0.7", "31000", "2600", "0.005", "50"))
        price = liquidation_price(
            side=side,
            quantity=q,
            entry=entry,
            wallet=wallet,
            maintenance_rate=rate,
            maintenance_amount=amount,
        )
        equity = wallet + side * q * (price - entry)
        assert float(equity) == pytest.approx(float(q * price * rate - amount), rel=1e-20)


def test_a_long_paid_in_full_cannot_be_liquidated():
    assert (
        liquidation_price(
            side=1,
            quantity=Decimal(1),
            entry=Decimal(100),
            wallet=Decimal(100),
            maintenance_rate=Decimal("0.01"),
        )
        is None
    )


def test_without_equity_there_is_no_leverage():
    found = exposures([(Decimal(1), Decimal(10))], Decimal(0))
    assert found.gross == Decimal(10)
    assert found.gross_leverage.value is None


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_levels_that_are_no_probability_are_refused(level):
    with pytest.raises(ValueError, match="probability"):
        historical_tail([0.1], level)
