"""What a rail sees and what it answers. Amounts are units of 1e-8, ages nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass

from trading.domain.reservation import exposure_increase, is_reducing, reserved_notional
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Instrument, Level, OrderType, Side


@dataclass(frozen=True, slots=True)
class RailResult:
    """One rail's verdict with the number it looked at and the number it allows, in `unit`.

    Quote and base amounts are given as plain decimal text, so that they can be shown and stored as is.
    """

    rail: str
    passed: bool
    code: DenyReason | None
    measured: int | float | str | None
    limit: int | float | str | None
    unit: str
    detail: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """The limits in force for one order. There is no "unlimited": a missing limit is the caller's error.

    Attributes
    ----------
    min_notional, max_notional : quote units per order, ours, not the venue's.
    max_quantity : base units per order.
    exposure_symbol, exposure_strategy, exposure_account, exposure_global : quote units, gross.
    orders_per_minute, max_open_orders : counts, per account and per symbol.
    collar_bps : how far beyond the middle of the book a limit may pay, basis points.
    quote_age_max_ns, decision_ttl_ns, reconcile_age_max_ns, unknown_age_max_ns : nanoseconds.
    """

    min_notional: int
    max_notional: int
    max_quantity: int
    exposure_symbol: int
    exposure_strategy: int
    exposure_account: int
    exposure_global: int
    orders_per_minute: int
    max_open_orders: int
    collar_bps: int
    quote_age_max_ns: int
    decision_ttl_ns: int
    reconcile_age_max_ns: int
    unknown_age_max_ns: int


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A circuit breaker that blocks this order now."""

    name: str
    scope: str
    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """The order as the rails judge it.

    Attributes
    ----------
    type : what was asked for; a MARKET order is judged by its protective limit.
    ticks : limit price, or the protective limit of a market order; None when there is no price.
    steps : quantity.  notional : quote units at `ticks`.
    decision_age_ns : since the decision (or the person's request) was made, wall time.
    is_flattener : sent by the flattener itself, the only sender at level FLATTEN.
    is_protective : a leg of a bracket: it can only reduce, and refusing it would leave a position naked.
    stop : the trigger of a conditional order, ticks; None for every other type.
    """

    account: str
    strategy: str | None
    symbol: str
    side: Side
    type: OrderType
    ticks: int | None
    steps: int
    notional: int
    reduce_only: bool
    decision_age_ns: int
    is_manual: bool = False
    is_flattener: bool = False
    is_protective: bool = False
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class RiskContext:
    """Everything about the world the rails may ask. None means "never known", and denies.

    Attributes
    ----------
    level, level_scope : effective kill level (the maximum over scopes) and the scope it comes from.
    limits_valid_for_ns : how long the limits in force still hold; zero or less means expired.
    allowed_symbols, allowed_types : policy; `*` in the symbols allows every one.
    best_bid, best_ask : top of the book in ticks.  quote_age_ns : since it was received.
    position : signed base units held.  open_buy, open_sell : base units of open orders on the symbol,
        RESERVED, SENDING and UNKNOWN ones included.
    free_base, free_quote : units the venue reported free.  pending_base, pending_quote : units our
        orders need that this report does not show as locked yet.
    used_* : quote units the bucket holds now (open orders and positions).
    orders_last_minute : orders sent in the last 60 s; oldest_order_age_ns : age of the oldest of them.
    reconciled_age_ns : since the account was last found equal to the venue.
    unknown_age_ns : age of the oldest UNKNOWN order on the symbol, 0 when there is none.
    """

    instrument: Instrument
    limits: RiskLimits
    level: Level
    level_scope: str
    limits_valid_for_ns: int
    strategy_enabled: bool
    allowed_symbols: frozenset[str]
    allowed_types: frozenset[OrderType]
    best_bid: int | None
    best_ask: int | None
    quote_age_ns: int | None
    position: int | None
    open_buy: int
    open_sell: int
    open_orders: int
    free_base: int | None
    free_quote: int | None
    pending_base: int
    pending_quote: int
    used_symbol: int
    used_strategy: int
    used_account: int
    used_global: int
    orders_last_minute: int
    oldest_order_age_ns: int
    reconciled_age_ns: int | None
    unknown_age_ns: int
    open_breakers: tuple[OpenBreaker, ...] = ()


def order_quantity(order: OrderCheck, context: RiskContext) -> int:
    """Return the order's quantity in base units."""
    return order.steps * context.instrument.step_units


def reduces(order: OrderCheck, context: RiskContext) -> bool:
    """Tell whether the order can only shrink the position; False while the position is not known."""
    if context.position is None:
        return False
    return is_reducing(
        order.side,
        order_quantity(order, context),
        position=context.position,
        open_buy=context.open_buy,
        open_sell=context.open_sell,
    )


def order_reserve(order: OrderCheck, context: RiskContext) -> int:
    """Return the quote units this order adds to every exposure bucket; 0 when it raises no exposure.

    Raises
    ------
    ValueError : the position was never loaded.
    """
    if context.position is None:
        raise ValueError("the position was never loaded")
    quantity = order_quantity(order, context)
    increase = exposure_increase(context.position, context.open_buy, context.open_sell, order.side, quantity)
    return reserved_notional(order.notional, increase, quantity)
