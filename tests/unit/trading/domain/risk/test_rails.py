"""Every rail three times: the last value allowed, the first denied, and denial when the rail itself fails."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.checks import SECOND, context, limits, order
from tests.fakes.instruments import spot
from trading.domain.risk import RAILS, DenyReason, OpenBreaker, check_order, first_denial
from trading.domain.values import UNITS, Level, OrderType, Side

BTC = UNITS
HELD = {"position": BTC // 100, "free_base": BTC // 100}  # 0.01 BTC, what the sample order is for
EXIT = {"side": Side.SELL}


@dataclass(frozen=True)
class Case:
    """The rail; order and context just allowed, just denied, and a context the rail cannot work on."""

    rail: str
    code: DenyReason
    allowed: dict[str, Any]
    denied: dict[str, Any]
    broken: dict[str, Any]
    order_allowed: dict[str, Any] = field(default_factory=dict)
    order_denied: dict[str, Any] = field(default_factory=dict)
    order_broken: dict[str, Any] = field(default_factory=dict)


R = DenyReason
BREAKER = (OpenBreaker("venue_errors", "account:paper-spot", "5 errors in 8 calls", 12.0),)

CASES = [
    Case("kill_level", R.TRADING_HALTED, {"level": Level.ACTIVE}, {"level": Level.REDUCING}, {"level": 99}),
    Case(
        "limits_in_force",
        R.TRADING_HALTED,
        {"limits_valid_for_ns": 1},
        {"limits_valid_for_ns": 0},
        {"limits_valid_for_ns": None},
    ),
    Case(
        "strategy_enabled",
        R.STRATEGY_DISABLED,
        {"strategy_enabled": True},
        {"strategy_enabled": False},
        {"strategy_enabled": False, "instrument": None},
    ),
    Case(
        "symbol_allowed",
        R.SYMBOL_NOT_ALLOWED,
        {"allowed_symbols": frozenset({"ETHUSDT", "BTCUSDT"})},
        {"allowed_symbols": frozenset({"ETHUSDT"})},
        {"allowed_symbols": None},
    ),
    Case(
        "venue_status",
        R.SYMBOL_NOT_ALLOWED,
        {"instrument": spot(status="TRADING")},
        {"instrument": spot(status="HALT")},
        {"instrument": None},
    ),
    Case(
        "order_type",
        R.ORDER_TYPE_NOT_ALLOWED,
        {"allowed_types": frozenset({OrderType.LIMIT})},
        {"allowed_types": frozenset({OrderType.LIMIT_MAKER})},
        {"allowed_types": None},
    ),
    Case("price_available", R.PRICE_UNAVAILABLE, {"best_ask": 1}, {"best_ask": 0}, {"best_ask": "?"}),
    Case(
        "price_fresh",
        R.PRICE_STALE,
        {"quote_age_ns": 10 * SECOND},
        {"quote_age_ns": 10 * SECOND + 1},
        {"limits": None},
    ),
    Case(
        "decision_ttl",
        R.DECISION_EXPIRED,
        {},
        {},
        {"limits": None},
        order_allowed={"decision_age_ns": 30 * SECOND},
        order_denied={"decision_age_ns": 30 * SECOND + 1},
    ),
    Case(
        "reconciled",
        R.NOT_RECONCILED,
        {"reconciled_age_ns": 60 * SECOND},
        {"reconciled_age_ns": 60 * SECOND + 1},
        {"limits": None},
    ),
    Case(
        "unknown_orders",
        R.NOT_RECONCILED,
        {"unknown_age_ns": 30 * SECOND},
        {"unknown_age_ns": 30 * SECOND + 1},
        {"unknown_age_ns": None},
    ),
    Case(
        "breakers", R.BREAKER_OPEN, {"open_breakers": ()}, {"open_breakers": BREAKER}, {"open_breakers": None}
    ),
    Case(
        "venue_filter",
        R.VENUE_FILTER,
        {"instrument": spot(NOTIONAL__minNotional="200")},
        {"instrument": spot(NOTIONAL__minNotional="200.00000001")},
        {"instrument": None},
    ),
    Case(
        # middle 20,000.00 and 100 bps: 20,200.00
        "price_collar",
        R.PRICE_COLLAR,
        {},
        {},
        {"limits": None},
        order_allowed={"ticks": 2_020_000},
        order_denied={"ticks": 2_020_001},
    ),
    Case(
        "min_notional",
        R.NOTIONAL_BELOW_MIN,
        {},
        {},
        {"limits": None},
        order_allowed={"notional": 10 * UNITS},
        order_denied={"notional": 10 * UNITS - 1},
    ),
    Case(
        "max_notional",
        R.NOTIONAL_ABOVE_MAX,
        {},
        {},
        {"limits": None},
        order_allowed={"notional": 1_000 * UNITS},
        order_denied={"notional": 1_000 * UNITS + 1},
    ),
    Case(
        "max_quantity",
        R.QUANTITY_ABOVE_MAX,
        {},
        {},
        {"limits": None},
        order_allowed={"steps": 100_000},
        order_denied={"steps": 100_001},
    ),
    Case(
        "reduce_only",
        R.REDUCE_ONLY,
        HELD,
        {"position": BTC // 100 - 1},
        {"position": "?"},
        order_allowed=EXIT | {"reduce_only": True},
        order_denied=EXIT | {"reduce_only": True},
        order_broken=EXIT | {"reduce_only": True},
    ),
    *(
        Case(
            rail,
            code,
            {used: (cap - 200) * UNITS},
            {used: (cap - 200) * UNITS + 1},
            {"limits": None},
        )
        for rail, code, used, cap in (
            ("exposure_symbol", R.EXPOSURE_SYMBOL, "used_symbol", 2_000),
            ("exposure_strategy", R.EXPOSURE_STRATEGY, "used_strategy", 2_000),
            ("exposure_account", R.EXPOSURE_ACCOUNT, "used_account", 5_000),
            ("exposure_global", R.EXPOSURE_GLOBAL, "used_global", 10_000),
        )
    ),
    Case(
        "free_balance",
        R.INSUFFICIENT_BALANCE,
        {"free_quote": 300 * UNITS, "pending_quote": 100 * UNITS},
        {"free_quote": 300 * UNITS, "pending_quote": 100 * UNITS + 1},
        {"pending_quote": None},
    ),
    Case("open_orders", R.OPEN_ORDERS, {"open_orders": 19}, {"open_orders": 20}, {"limits": None}),
    Case(
        "order_rate", R.RATE_LIMITED, {"orders_last_minute": 29}, {"orders_last_minute": 30}, {"limits": None}
    ),
]


def verdict(rail: str, an_order, a_context):
    return next(result for result in check_order(an_order, a_context) if result.rail == rail)


def each(cases=CASES):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.rail)


@each()
def test_a_rail_allows_the_last_value_within_its_limit(case):
    result = verdict(case.rail, order(**case.order_allowed), context(**case.allowed))
    assert result.passed, result.detail
    assert result.code is None


@each()
def test_a_rail_denies_the_first_value_beyond_its_limit(case):
    result = verdict(case.rail, order(**case.order_denied), context(**case.denied))
    assert not result.passed
    assert result.code is case.code
    assert result.detail


@each()
def test_a_rail_that_fails_denies_with_its_own_code(case):
    result = verdict(case.rail, order(**case.order_broken), context(**case.broken))
    assert not result.passed
    assert result.code is case.code
    assert "failed and therefore denies" in result.detail


def test_every_declared_rail_has_its_three_tests():
    assert [rail.name for rail in RAILS] == [case.rail for case in CASES]
    assert [rail.code for rail in RAILS] == [case.code for case in CASES]


def test_a_healthy_order_passes_all_rails_in_their_declared_order():
    results = check_order(order(), context())
    assert [result.rail for result in results] == [rail.name for rail in RAILS]
    assert first_denial(results) is None


def test_all_rails_are_judged_and_the_first_denial_is_the_answer():
    results = check_order(order(notional=2_000 * UNITS), context(level=Level.CANCEL, quote_age_ns=None))
    denials = [result.rail for result in results if not result.passed]
    assert denials == ["kill_level", "price_fresh", "max_notional"]
    assert first_denial(results).code is R.TRADING_HALTED


def test_a_context_of_nothing_is_denied_by_every_rail_that_looks_at_it():
    results = check_order(order(), None)
    assert all(not result.passed for result in results if result.rail not in {"order_type"})
    assert len(results) == len(RAILS)


@pytest.mark.parametrize(
    ("level", "flattener", "passes"),
    [
        (Level.ACTIVE, False, True),
        (Level.REDUCING, False, True),
        (Level.HALT_NEW, False, False),
        (Level.CANCEL, False, False),
        (Level.FLATTEN, False, False),
        (Level.CANCEL, True, False),
        (Level.FLATTEN, True, True),
    ],
)
def test_an_exit_passes_only_where_the_level_lets_positions_shrink(level, flattener, passes):
    result = verdict("kill_level", order(**EXIT, is_flattener=flattener), context(level=level, **HELD))
    assert result.passed is passes


@pytest.mark.parametrize("level", [Level.REDUCING, Level.HALT_NEW, Level.CANCEL, Level.FLATTEN])
@pytest.mark.parametrize("flattener", [False, True])
def test_no_level_above_active_lets_new_risk_through(level, flattener):
    result = verdict(
        "kill_level", order(is_flattener=flattener), context(level=level, level_scope="symbol:BTCUSDT")
    )
    assert result.code is R.TRADING_HALTED
    assert "symbol:BTCUSDT" in result.detail


@pytest.mark.parametrize(
    ("rail", "changes"),
    [
        ("limits_in_force", {"limits_valid_for_ns": -1}),
        ("strategy_enabled", {"strategy_enabled": False}),
        ("symbol_allowed", {"allowed_symbols": frozenset()}),
        ("breakers", {"open_breakers": BREAKER}),
        ("min_notional", {"limits": limits(min_notional=201 * UNITS)}),
        ("exposure_symbol", {"used_symbol": 2_000 * UNITS}),
        ("exposure_strategy", {"used_strategy": 9_000 * UNITS}),
        ("exposure_account", {"used_account": 5_000 * UNITS}),
        ("exposure_global", {"used_global": 10_000 * UNITS}),
        ("open_orders", {"open_orders": 20}),
    ],
)
def test_an_order_that_only_reduces_is_not_stopped(rail, changes):
    # defect W6: a full cap blocked the sale that would have relieved it
    denied_entry = verdict(rail, order(), context(**changes))
    exit_order = verdict(rail, order(**EXIT), context(**changes, **HELD))
    assert not denied_entry.passed
    assert exit_order.passed


def test_a_person_needs_no_enabled_strategy_and_no_strategy_capital():
    a_context = context(strategy_enabled=False, used_strategy=9_000 * UNITS)
    by_hand = order(strategy=None, is_manual=True)
    assert verdict("strategy_enabled", by_hand, a_context).passed
    assert verdict("exposure_strategy", by_hand, a_context).passed


def test_an_order_given_by_quantity_is_valued_like_any_other():
    # defect W5: quantity 1,500 at price 1 passed where quote 1,500 was refused
    result = verdict("max_notional", order(ticks=100, steps=150_000_000, notional=1_500 * UNITS), context())
    assert result.code is R.NOTIONAL_ABOVE_MAX
    assert (result.measured, result.limit, result.unit) == ("1500", "1000", "USDT")


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


def test_a_star_on_the_allowlist_allows_every_symbol():
    assert verdict("symbol_allowed", order(), context(allowed_symbols=frozenset({"*"}))).passed


def test_an_order_for_another_symbol_than_its_instrument_is_denied():
    assert verdict("symbol_allowed", order(symbol="ETHUSDT"), context()).code is R.SYMBOL_NOT_ALLOWED


def test_a_resting_order_far_from_the_market_is_not_a_collar_matter():
    assert verdict("price_collar", order(ticks=1_000_000), context()).passed
    assert verdict("price_collar", order(side=Side.SELL, ticks=3_000_000), context()).passed


def test_a_sale_far_below_the_middle_breaks_the_collar():
    assert verdict("price_collar", order(side=Side.SELL, ticks=1_980_000), context()).passed
    assert verdict("price_collar", order(side=Side.SELL, ticks=1_979_999), context()).code is R.PRICE_COLLAR


def test_orders_in_flight_count_against_the_balance():
    short = context(free_base=BTC // 100, pending_base=1, position=BTC // 100)
    assert verdict("free_balance", order(**EXIT), short).code is R.INSUFFICIENT_BALANCE
    assert verdict("free_balance", order(**EXIT), context(**HELD)).passed


def test_pending_orders_count_in_the_exposure_of_the_next():
    # flat, 0.01 BTC already in an open sell of a 0.005 position: the sell side cannot grow it further
    a_context = context(position=BTC // 200, open_sell=0, used_symbol=2_000 * UNITS)
    assert verdict("exposure_symbol", order(**EXIT, steps=500, notional=100 * UNITS), a_context).passed
    assert not verdict("exposure_symbol", order(steps=1), a_context).passed


def test_the_rate_limit_says_when_there_is_room_again():
    result = verdict("order_rate", order(), context(orders_last_minute=30, oldest_order_age_ns=45 * SECOND))
    assert result.retry_after_s == 15.0


def test_one_order_a_minute_lets_the_first_pass_and_stops_the_second():
    # earlier system C5
    one = limits(orders_per_minute=1)
    assert verdict("order_rate", order(), context(limits=one)).passed
    assert verdict("order_rate", order(), context(limits=one, orders_last_minute=1)).code is R.RATE_LIMITED


def test_an_open_breaker_names_itself_and_its_wait():
    result = verdict("breakers", order(), context(open_breakers=BREAKER))
    assert result.retry_after_s == 12.0
    assert "venue_errors" in result.detail


def test_a_cap_counts_only_the_part_of_an_order_that_adds_risk():
    # long 0.01 with an open buy of 0.01: worst case 0.02. A sell of 0.04 can end at -0.03: 0.01 more,
    # a quarter of its 800 USDT.
    a_context = context(position=BTC // 100, open_buy=BTC // 100, used_symbol=1_800 * UNITS)
    big_sell = order(side=Side.SELL, steps=4_000, notional=800 * UNITS)
    result = verdict("exposure_symbol", big_sell, a_context)
    assert result.passed
    assert result.measured == "2000"


def test_an_unknown_position_reduces_nothing():
    # a SELL that would be an exit, were the position known
    result = verdict("kill_level", order(**EXIT), context(level=Level.REDUCING, position=None))
    assert result.code is R.TRADING_HALTED


def test_a_reduce_only_purchase_covers_a_short_and_no_more():
    covers = order(reduce_only=True)
    assert verdict("reduce_only", covers, context(position=-BTC // 100)).passed
    assert verdict("reduce_only", covers, context(position=-BTC // 100 + 1)).code is R.REDUCE_ONLY


def test_a_reduce_only_order_with_an_unknown_position_is_denied():
    assert (
        verdict("reduce_only", order(**EXIT, reduce_only=True), context(position=None)).code is R.REDUCE_ONLY
    )
