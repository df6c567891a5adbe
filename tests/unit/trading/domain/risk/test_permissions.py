"""Who and what may trade: strategies, people, symbols, models, account modes, order types, grants."""

from dataclasses import replace

import pytest

from tests.fakes.checks import context, limits, order
from tests.fakes.instruments import usdm
from tests.unit.trading.domain.risk.samples import (
    BREAKER,
    CANARY,
    CHAMPION,
    CROSS,
    MARGIN,
    MARKET,
    R,
    verdict,
)
from trading.domain.risk import Grant, check_order, first_denial, needs_grant
from trading.domain.values import UNITS, OrderType, TimeInForce


def test_a_person_needs_no_enabled_strategy_and_no_strategy_capital():
    a_context = context(strategy_enabled=False, used_strategy=9_000 * UNITS)
    by_hand = order(strategy=None, is_manual=True)
    assert verdict("strategy_enabled", by_hand, a_context).passed
    assert verdict("exposure_strategy", by_hand, a_context).passed


def test_a_star_on_the_allowlist_allows_every_symbol():
    assert verdict("symbol_allowed", order(), context(allowed_symbols=frozenset({"*"}))).passed


def test_an_order_for_another_symbol_than_its_instrument_is_denied():
    assert verdict("symbol_allowed", order(symbol="ETHUSDT"), context()).code is R.SYMBOL_NOT_ALLOWED


def test_an_open_breaker_names_itself_and_its_wait():
    result = verdict("breakers", order(), context(open_breakers=BREAKER))
    assert result.retry_after_s == 12.0
    assert "venue_errors" in result.detail


@pytest.mark.parametrize(
    "model",
    [
        replace(CHAMPION, stage="shadow"),
        replace(CHAMPION, stage="retired"),
        replace(CHAMPION, loaded_digest="abd"),
        replace(CHAMPION, loaded_digest=None),
        replace(CHAMPION, valid_for_ns=0),
    ],
)
def test_only_a_promoted_model_whose_artefact_is_the_one_in_force_trades(model):
    assert verdict("model_servable", order(), context(model=CHAMPION)).passed
    assert verdict("model_servable", order(), context(model=model)).code is R.MODEL_NOT_SERVABLE


def test_a_canary_is_judged_by_its_own_part_of_an_order_rounded_up():
    # The order is worth 200 USDT: two thirds of it are 133.33333334.
    part = replace(CANARY, part=66_666_667, canary_cap=13_333_333_400)
    assert verdict("model_servable", order(), context(model=part)).passed
    tight = replace(part, canary_cap=13_333_333_399)
    assert verdict("model_servable", order(), context(model=tight)).code is R.MODEL_NOT_SERVABLE


@pytest.mark.parametrize(
    "mode", [None, replace(CROSS, hedge=True), replace(CROSS, isolated=True), replace(CROSS, leverage=20)]
)
def test_a_futures_account_set_up_otherwise_takes_no_new_risk(mode):
    world = context(instrument=usdm(), mode=mode, margin=MARGIN, mark=2_000_000)
    assert first_denial(check_order(order(), world)).code is R.ACCOUNT_MODE


@pytest.mark.parametrize(
    "sent", [{"sent_type": OrderType.MARKET}, {"sent_tif": TimeInForce.GTC}, {"sent_type": None}]
)
def test_a_market_order_leaves_only_as_an_immediate_limit(sent):
    assert verdict("market_order", order(**MARKET, **sent), context()).code is R.MARKET_ORDER_NOT_ALLOWED
    assert verdict("market_order", order(type=OrderType.STOP_MARKET, **sent), context()).passed


def test_a_grant_lifts_a_soft_limit_for_one_order_of_its_size_while_it_holds():
    bound = limits(soft_notional=100 * UNITS)
    enough = Grant(200 * UNITS, 1)
    assert verdict("override", order(), context(limits=bound, grant=enough)).passed
    assert verdict("near_duplicate", order(), context(grant=enough, near_age_ns=0)).passed
    for grant in (None, Grant(200 * UNITS - 1, 1), Grant(200 * UNITS, 0)):
        world = context(limits=bound, grant=grant)
        assert verdict("override", order(), world).code is R.OVERRIDE_REQUIRED
        assert not needs_grant(order(), world)
    assert needs_grant(order(), context(limits=bound, grant=enough))
    assert not needs_grant(order(), context(grant=enough)), "an order within every limit uses up no grant"
