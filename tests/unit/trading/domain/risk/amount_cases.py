"""A case for each rail that counts: exposure, margin, balance, pace, losses, and what is left at the send."""

from tests.fakes.checks import SECOND, limits
from tests.fakes.instruments import usdm
from tests.unit.trading.domain.risk.samples import BTC, EXIT, HELD, MARGIN, Case, R, lost, margin
from trading.domain.risk import Blackout, DenyReason, GroupUse, NetExposure, ParentOrder
from trading.domain.values import UNITS


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


AMOUNT_CASES = [
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
