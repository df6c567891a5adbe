"""What is unknown, never loaded or too old denies."""

import pytest

from tests.fakes.checks import SECOND, context, order
from tests.fakes.instruments import usdm
from tests.unit.trading.domain.risk.samples import CROSS, MARGIN, R, lost, verdict
from trading.domain.risk import check_order, first_denial


@pytest.mark.parametrize("missing", ["best_bid", "best_ask"])
@pytest.mark.parametrize("value", [None, 0])
def test_without_a_price_nothing_is_sent(missing, value):
    # defect W16
    results = check_order(order(), context(**{missing: value}))
    assert first_denial(results).code is R.PRICE_UNAVAILABLE


def test_an_order_without_a_limit_cannot_be_valued():
    assert first_denial(check_order(order(ticks=None), context())).code is R.PRICE_UNAVAILABLE


@pytest.mark.parametrize("unknown", ["position", "free_base", "free_quote"])
def test_an_account_whose_balances_were_never_loaded_is_not_ready_not_bankrupt(unknown):
    # defect W35: equity 0 tripped the equity floor and blocked everything for 300 s
    denial = first_denial(check_order(order(), context(**{unknown: None})))
    assert denial.code is R.NOT_RECONCILED
    assert "never loaded" in denial.detail


def test_an_account_that_was_never_reconciled_does_not_trade():
    assert first_denial(check_order(order(), context(reconciled_age_ns=None))).code is R.NOT_RECONCILED


def test_a_price_never_received_is_stale():
    assert first_denial(check_order(order(), context(quote_age_ns=None))).code is R.PRICE_STALE


def test_a_decision_from_the_future_is_denied():
    assert verdict("decision_ttl", order(decision_age_ns=-1), context()).code is R.DECISION_EXPIRED


def test_futures_without_a_mark_price_are_not_traded():
    world = context(instrument=usdm(), mode=CROSS, margin=MARGIN)
    assert verdict("price_sources", order(), world).code is R.PRICE_SOURCES_DISAGREE
    assert verdict("price_sources", order(), context(instrument=usdm(), mark=2_000_000)).passed


@pytest.mark.parametrize("clock", [{"clock_offset_ns": None}, {"clock_age_ns": 60 * SECOND + 1}])
def test_a_clock_not_compared_lately_is_not_trusted(clock):
    assert verdict("clock_offset", order(), context(**clock)).code is R.CLOCK_OFFSET


@pytest.mark.parametrize("age", [None, 120 * SECOND + 1])
def test_a_result_that_was_not_measured_lately_takes_no_new_risk(age):
    assert verdict("daily_loss", order(), context(losses=lost(age_ns=age))).code is R.LOSS_LIMIT


@pytest.mark.parametrize("rail", ["margin_use", "liquidation_distance", "free_balance"])
def test_a_futures_account_whose_margin_was_never_loaded_does_not_trade(rail):
    assert not verdict(rail, order(), context(instrument=usdm())).passed
