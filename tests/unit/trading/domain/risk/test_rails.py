"""Every rail three times: the last value allowed, the first denied, and denial when the rail itself fails."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.fakes.checks import SECOND, context, limits, order
from tests.fakes.instruments import spot, usdm
from trading.domain.margin import flat_brackets
from trading.domain.risk import (
    RAILS,
    SEND_RAILS,
    AccountMode,
    Blackout,
    DenyReason,
    Grant,
    GroupUse,
    LossMeasured,
    MarginState,
    ModelServed,
    NetExposure,
    OpenBreaker,
    ParentOrder,
    check_order,
    first_denial,
    needs_grant,
)
from trading.domain.values import UNITS, Level, OrderType, Side, TimeInForce

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
    broken: dict[str, Any] | None  # None: no context at all
    order_allowed: dict[str, Any] = field(default_factory=dict)
    order_denied: dict[str, Any] = field(default_factory=dict)
    order_broken: dict[str, Any] = field(default_factory=dict)


R = DenyReason
BREAKER = (OpenBreaker("venue_errors", "account:paper-spot", "5 errors in 8 calls", 12.0),)
CHAMPION = ModelServed("hmm", "champion", "abc", "abc", 60 * SECOND)
CANARY = ModelServed("hmm", "canary", "abc", "abc", 60 * SECOND, canary_cap=200 * UNITS)
CROSS = AccountMode(hedge=False, isolated=False, leverage=3, expected_hedge=False, expected_isolated=False)
# Balance 1,000 USDT, nothing held; 200 USDT more at a maintenance rate of 1 % needs 2 USDT.
MARGIN = MarginState(
    balance=1_000 * UNITS, available=1_000 * UNITS, leverage=2, brackets=flat_brackets(10_000)
)
MARKET = {"type": OrderType.MARKET}


def margin(**changes: int) -> MarginState:
    return replace(MARGIN, **changes)


def lost(**changes: Any) -> tuple[LossMeasured, ...]:
    """A healthy strategy, and the account whose result is changed."""
    healthy = LossMeasured("strategy:trend", SECOND, 0, 0, 0, 100 * UNITS, 500_000, 5)
    account = LossMeasured("account:paper-spot", 120 * SECOND, 0, 0, 0, 100 * UNITS, 200_000, 5)
    return healthy, replace(account, **changes)


def exposed(rail: str, code: DenyReason, used: str, cap: int) -> Case:
    """A cap with room for exactly the order's 200 USDT, and for one unit less."""
    room = (cap - 200) * UNITS
    return Case(rail, code, {used: room}, {used: room + 1}, {"limits": None})


def netted(name: str, code: DenyReason) -> Case:
    """Long 300 and short 100 USDT net, 100 more being bought: a cap of 500 USDT takes 200, and not one unit more."""
    net = NetExposure(carried=200 * UNITS, open_buy=100 * UNITS, open_sell=50 * UNITS)
    return Case(
        name,
        code,
        {name: net, "limits": limits(**{name: 500 * UNITS})},
        {name: net, "limits": limits(**{name: 500 * UNITS - 1})},
        {name: None},
    )


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
        # flat: the order of 200 USDT takes exactly the canary's share
        "model_servable",
        R.MODEL_NOT_SERVABLE,
        {"model": CANARY},
        {"model": replace(CANARY, canary_cap=200 * UNITS - 1)},
        {"model": CANARY, "position": None},
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
    Case(
        "account_mode",
        R.ACCOUNT_MODE,
        {"instrument": usdm(), "mode": CROSS},
        {"instrument": usdm(), "mode": replace(CROSS, leverage=4)},
        {"instrument": usdm(), "mode": CROSS, "limits": None},
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
        # middle 20,000.00; 200 bps above it is 20,400.00
        "price_sources",
        R.PRICE_SOURCES_DISAGREE,
        {"last": 2_040_000},
        {"last": 2_040_001},
        {"limits": None},
    ),
    Case(
        "clock_offset",
        R.CLOCK_OFFSET,
        {"clock_offset_ns": -SECOND // 4, "clock_age_ns": 60 * SECOND},
        {"clock_offset_ns": -SECOND // 4 - 1},
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
        "bar_once",
        R.DECISION_EXPIRED,
        {"bar_is_acted_on": False},
        {"bar_is_acted_on": True},
        None,
    ),
    Case(
        "reconciled",
        R.NOT_RECONCILED,
        {"reconciled_age_ns": 60 * SECOND},
        {"reconciled_age_ns": 60 * SECOND + 1},
        {"limits": None},
    ),
    Case(
        "user_stream",
        R.NOT_RECONCILED,
        {"stream_age_ns": 30 * SECOND},
        {"stream_age_ns": 30 * SECOND + 1},
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
        # ask 20,000.01 and 1,000 bps: 22,000.011, of which 22,000.01 is a tick
        "market_order",
        R.MARKET_ORDER_NOT_ALLOWED,
        {},
        {},
        {"limits": None},
        order_allowed=MARKET | {"ticks": 2_200_001},
        order_denied=MARKET | {"ticks": 2_200_002},
        order_broken=MARKET,
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
    exposed("exposure_symbol", R.EXPOSURE_SYMBOL, "used_symbol", 2_000),
    exposed("exposure_strategy", R.EXPOSURE_STRATEGY, "used_strategy", 2_000),
    exposed("exposure_strategy_symbol", R.EXPOSURE_STRATEGY, "used_strategy_symbol", 2_000),
    exposed("exposure_account", R.EXPOSURE_ACCOUNT, "used_account", 5_000),
    netted("net_account", R.EXPOSURE_ACCOUNT),
    exposed("exposure_global", R.EXPOSURE_GLOBAL, "used_global", 10_000),
    netted("net_global", R.EXPOSURE_GLOBAL),
    Case(
        # of two groups the fuller one decides: 6,000 less the order's 200
        "exposure_group",
        R.EXPOSURE_GROUP,
        {"groups": (GroupUse("majors", 5_800 * UNITS), GroupUse("new", 0))},
        {"groups": (GroupUse("new", 0), GroupUse("majors", 5_800 * UNITS + 1))},
        {"groups": None},
    ),
    Case(
        # 2 USDT of maintenance in a balance of 4 USDT are one half
        "margin_use",
        R.MARGIN,
        {"instrument": usdm(), "margin": margin(balance=4 * UNITS)},
        {"instrument": usdm(), "margin": margin(balance=4 * UNITS - 1)},
        {"instrument": usdm(), "margin": MARGIN, "limits": None},
    ),
    Case(
        # a tenth down, 20 of 21.8 are lost and 1 % of 180 is asked for: 1.8
        "liquidation_distance",
        R.MARGIN,
        {"instrument": usdm(), "margin": margin(balance=218 * UNITS // 10)},
        {"instrument": usdm(), "margin": margin(balance=218 * UNITS // 10 - 1)},
        {"instrument": usdm(), "margin": MARGIN, "limits": None},
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
        "open_orders_strategy",
        R.OPEN_ORDERS,
        {"open_orders_strategy": 9_999},
        {"open_orders_strategy": 10_000},
        {"limits": None},
    ),
    Case(
        "order_rate", R.RATE_LIMITED, {"orders_last_minute": 29}, {"orders_last_minute": 30}, {"limits": None}
    ),
    Case(
        "order_rate_strategy",
        R.RATE_LIMITED,
        {"orders_last_minute_strategy": 9_999},
        {"orders_last_minute_strategy": 10_000},
        {"limits": None},
    ),
    Case(
        # a fifth of 6,000 is kept
        "venue_weight",
        R.VENUE_WEIGHT,
        {"weight_used": 4_799},
        {"weight_used": 4_800},
        {"weight_limit": None},
    ),
    Case(
        "repeated_execution",
        R.REPEATED_EXECUTION,
        {"executions": 9},
        {"executions": 10},
        {"executions": None},
    ),
    Case(
        # the third refusal waits 2 s x 2 x 2
        "rejected_backoff",
        R.RATE_LIMITED,
        {"rejected": 3, "rejected_age_ns": 8 * SECOND},
        {"rejected": 3, "rejected_age_ns": 8 * SECOND - 1},
        {"rejected": 1, "rejected_age_ns": None},
    ),
    Case("duplicate_decision", R.DUPLICATE_DECISION, {"same_decision": 0}, {"same_decision": 1}, None),
    Case(
        "near_duplicate",
        R.NEAR_DUPLICATE,
        {"near_age_ns": 2 * SECOND},
        {"near_age_ns": 2 * SECOND - 1},
        {"limits": None},
    ),
    Case(
        "self_trade",
        R.SELF_TRADE,
        {"crossing": 2_000_001},
        {"crossing": 2_000_000},
        {"crossing": "?"},
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
    Case(
        "daily_loss",
        R.LOSS_LIMIT,
        {"losses": lost(loss=100 * UNITS)},
        {"losses": lost(loss=100 * UNITS + 1)},
        {"losses": None},
    ),
    Case(
        "drawdown",
        R.LOSS_LIMIT,
        {"losses": lost(drawdown=200_000)},
        {"losses": lost(drawdown=200_001)},
        {"losses": None},
    ),
    Case(
        "loss_streak",
        R.LOSS_LIMIT,
        {"losses": lost(streak=5)},
        {"losses": lost(streak=6)},
        {"losses": None},
    ),
    Case(
        "blackout",
        R.BLACKOUT,
        {"blackouts": ()},
        {"blackouts": (Blackout("venue:binance-spot", "upgrade", 1),)},
        {"blackouts": None},
    ),
    Case(
        "loss_cooldown",
        R.BLACKOUT,
        {"last_loss_age_ns": 60 * SECOND},
        {"last_loss_age_ns": 60 * SECOND - 1},
        {"limits": None},
    ),
    Case(
        # 0.01 BTC of 0.02 are out already
        "parent_quantity",
        R.PARENT_QUANTITY,
        {"parent": ParentOrder(2 * BTC // 100, BTC // 100, 1)},
        {"parent": ParentOrder(2 * BTC // 100 - 1, BTC // 100, 1)},
        {"parent": ParentOrder(2 * BTC // 100, None, 1)},
    ),
    Case(
        "sends_per_decision",
        R.PARENT_QUANTITY,
        {"parent": ParentOrder(BTC, 0, 9)},
        {"parent": ParentOrder(BTC, 0, 10)},
        {"limits": None},
    ),
    Case(
        "override",
        R.OVERRIDE_REQUIRED,
        {"limits": limits(soft_notional=200 * UNITS)},
        {"limits": limits(soft_notional=200 * UNITS - 1)},
        {"limits": None},
    ),
    Case(
        "lease",
        R.LEASE_LOST,
        {"lease_left_ns": 3 * SECOND, "lease_needed_ns": 3 * SECOND},
        {"lease_left_ns": 3 * SECOND - 1, "lease_needed_ns": 3 * SECOND},
        {"lease_left_ns": "?"},
    ),
]


EVERY = (*RAILS, *SEND_RAILS)


def verdict(rail: str, an_order, a_context):
    return next(result for result in check_order(an_order, a_context, EVERY) if result.rail == rail)


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
    world = None if case.broken is None else context(**case.broken)
    result = verdict(case.rail, order(**case.order_broken), world)
    assert not result.passed
    assert result.code is case.code
    assert "failed and therefore denies" in result.detail


def test_every_declared_rail_has_its_three_tests():
    assert [rail.name for rail in EVERY] == [case.rail for case in CASES]
    assert [rail.code for rail in EVERY] == [case.code for case in CASES]


def test_every_check_of_the_catalogue_is_there_but_those_that_may_wait():
    waiting = {14, 18, 30, 34, 37}
    wanted = [f"P{number:02}" for number in range(1, 41) if number not in waiting]
    numbers = [rail.number for rail in EVERY]
    assert sorted(set(numbers) - {"1.4"}) == wanted
    in_order = [number for number in numbers if number not in ("1.4", "P03")]
    assert in_order == sorted(in_order)


def test_every_denial_says_both_numbers_or_why_there_is_none():
    for case in CASES:
        result = verdict(case.rail, order(**case.order_denied), context(**case.denied))
        assert result.measured is not None
        assert result.limit is not None


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
    assert all(not result.passed for result in results)
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
        ("open_orders_strategy", {"open_orders_strategy": 10_000}),
        ("model_servable", {"model": replace(CHAMPION, stage="retired")}),
        ("user_stream", {"stream_age_ns": None}),
        ("net_account", {"net_account": NetExposure(10**18)}),
        ("net_global", {"net_global": NetExposure(10**18)}),
        ("venue_weight", {"weight_used": 6_000}),
        ("repeated_execution", {"executions": 99}),
        ("daily_loss", {"losses": lost(loss=10**12)}),
        ("drawdown", {"losses": lost(age_ns=None)}),
        ("loss_streak", {"losses": lost(streak=99)}),
        ("blackout", {"blackouts": (Blackout("global", "upgrade", SECOND),)}),
        ("loss_cooldown", {"last_loss_age_ns": 0}),
        ("override", {"limits": limits(soft_notional=1)}),
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
    result = verdict("order_rate", order(), context(orders_last_minute=30, leaving_order_age_ns=45 * SECOND))
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


@pytest.mark.parametrize(
    "mode", [None, replace(CROSS, hedge=True), replace(CROSS, isolated=True), replace(CROSS, leverage=20)]
)
def test_a_futures_account_set_up_otherwise_takes_no_new_risk(mode):
    world = context(instrument=usdm(), mode=mode, margin=MARGIN, mark=2_000_000)
    assert first_denial(check_order(order(), world)).code is R.ACCOUNT_MODE


def test_futures_without_a_mark_price_are_not_traded():
    world = context(instrument=usdm(), mode=CROSS, margin=MARGIN)
    assert verdict("price_sources", order(), world).code is R.PRICE_SOURCES_DISAGREE
    assert verdict("price_sources", order(), context(instrument=usdm(), mark=2_000_000)).passed


@pytest.mark.parametrize("known", [{"last": 1_980_000}, {"mark": 1_980_000}])
def test_the_collar_holds_against_the_last_trade_and_the_mark_as_well(known):
    # 1 % above 19,800 is 19,998: the middle alone would have let 20,000 pass
    world = context(instrument=usdm(), **known)
    assert verdict("price_collar", order(ticks=1_999_800), world).passed
    assert verdict("price_collar", order(ticks=1_999_801), world).code is R.PRICE_COLLAR
    assert verdict("price_collar", order(side=Side.SELL, ticks=1_980_000), world).passed


@pytest.mark.parametrize(
    "sent", [{"sent_type": OrderType.MARKET}, {"sent_tif": TimeInForce.GTC}, {"sent_type": None}]
)
def test_a_market_order_leaves_only_as_an_immediate_limit(sent):
    assert verdict("market_order", order(**MARKET, **sent), context()).code is R.MARKET_ORDER_NOT_ALLOWED
    assert verdict("market_order", order(type=OrderType.STOP_MARKET, **sent), context()).passed


@pytest.mark.parametrize("clock", [{"clock_offset_ns": None}, {"clock_age_ns": 60 * SECOND + 1}])
def test_a_clock_not_compared_lately_is_not_trusted(clock):
    assert verdict("clock_offset", order(), context(**clock)).code is R.CLOCK_OFFSET


@pytest.mark.parametrize("age", [None, 120 * SECOND + 1])
def test_a_result_that_was_not_measured_lately_takes_no_new_risk(age):
    assert verdict("daily_loss", order(), context(losses=lost(age_ns=age))).code is R.LOSS_LIMIT


def test_the_scope_nearest_to_its_loss_limit_is_the_one_that_is_shown():
    result = verdict("daily_loss", order(), context(losses=lost(loss=40 * UNITS)))
    assert (result.measured, result.limit) == ("40", "100")


def test_net_exposure_counts_what_both_sides_could_become():
    # short 100 net: a purchase of 200 makes it long 100 at worst, a sale makes it short 300
    net = NetExposure(carried=-100 * UNITS)
    bound = limits(net_account=250 * UNITS)
    assert verdict("net_account", order(), context(net_account=net, limits=bound)).passed
    sale = verdict("net_account", order(side=Side.SELL), context(net_account=net, limits=bound))
    assert (sale.code, sale.measured) == (R.EXPOSURE_ACCOUNT, "300")


def test_futures_need_their_initial_margin_and_not_the_whole_amount():
    world = context(instrument=usdm(), free_quote=0, margin=margin(available=100 * UNITS))
    assert verdict("free_balance", order(), world).passed
    short = context(instrument=usdm(), margin=margin(available=100 * UNITS - 1))
    assert verdict("free_balance", order(), short).code is R.INSUFFICIENT_BALANCE


@pytest.mark.parametrize("rail", ["margin_use", "liquidation_distance", "free_balance"])
def test_a_futures_account_whose_margin_was_never_loaded_does_not_trade(rail):
    assert not verdict(rail, order(), context(instrument=usdm())).passed


def test_an_account_without_any_balance_is_at_its_margin_limit():
    world = context(instrument=usdm(), margin=margin(balance=0))
    assert verdict("margin_use", order(), world).code is R.MARGIN


def test_the_wait_after_a_refusal_doubles():
    waits = [
        verdict("rejected_backoff", order(), context(rejected=count, rejected_age_ns=0)).retry_after_s
        for count in (1, 2, 3, 4)
    ]
    assert waits == [2.0, 4.0, 8.0, 16.0]


def test_people_are_not_throttled_as_if_they_were_a_machine():
    by_hand = order(is_manual=True)
    assert verdict("near_duplicate", by_hand, context(near_age_ns=0)).passed
    assert verdict("repeated_execution", by_hand, context(executions=99)).passed


def test_a_sale_at_or_below_an_own_bid_would_trade_with_oneself():
    world = context(crossing=2_000_000)
    assert not verdict("self_trade", order(side=Side.SELL), world).passed
    assert verdict("self_trade", order(side=Side.SELL, ticks=2_000_001), world).passed
    assert verdict("self_trade", order(ticks=None), world).code is R.SELF_TRADE


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


def test_protection_and_flattening_go_on_however_busy_the_minute_was():
    busy = context(orders_last_minute=99, orders_last_minute_strategy=99_999)
    for kind in ({"is_protective": True}, {"is_flattener": True}):
        assert verdict("order_rate", order(**kind), busy).passed
        assert verdict("order_rate_strategy", order(**kind), busy).passed


def test_verdicts_are_written_out_in_their_units():
    result = verdict("price_fresh", order(), context())
    assert (result.measured, result.limit, result.unit) == (1.0, 10.0, "s")
    shares = verdict("margin_use", order(), context(instrument=usdm(), margin=MARGIN))
    assert (shares.measured, shares.limit) == (0.002, 0.5)
