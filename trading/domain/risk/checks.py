"""What a rail sees. Amounts are units of 1e-8, ages nanoseconds, shares parts of a million."""

from __future__ import annotations

from dataclasses import dataclass

from trading.domain.margin import MarginBracket, MarginHeld
from trading.domain.reservation import exposure_increase, is_reducing, reserved_notional
from trading.domain.risk.answers import RailResult as RailResult  # the name rails and callers know it by
from trading.domain.values import UNITS, Instrument, Level, OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """The limits in force for one order. There is no "unlimited": a missing limit is the caller's error.

    Attributes
    ----------
    min_notional, max_notional : quote units per order, ours, not the venue's.
    max_quantity : base units per order.  soft_notional : quote units an order may have without a grant.
    exposure_symbol, exposure_strategy, exposure_strategy_symbol, exposure_group, exposure_account, exposure_global :
        quote units, gross.
    net_account, net_global : quote units, long less short.
    orders_per_minute, orders_per_minute_strategy : counts, per account and per strategy.
    max_open_orders, max_open_orders_strategy : counts, per symbol and per strategy.
    collar_bps, slippage_bps, disagreement_bps : basis points: how far beyond middle, last and mark a limit
        may pay; how far beyond the touch a market order may pay; how far the price sources may be apart.
    quote_age_max_ns, decision_ttl_ns, reconcile_age_max_ns, unknown_age_max_ns, stream_age_max_ns,
        clock_offset_max_ns, clock_age_max_ns, equity_age_max_ns, near_window_ns, loss_cooldown_ns : nanoseconds.
    leverage_max : times.  margin_ratio_max, liquidation_distance_min, weight_headroom : parts of a million.
    repeated_executions : executions of one rule inside the watched window.  sends_per_decision : count.
    """

    min_notional: int
    max_notional: int
    max_quantity: int
    soft_notional: int
    exposure_symbol: int
    exposure_strategy: int
    exposure_strategy_symbol: int
    exposure_group: int
    exposure_account: int
    exposure_global: int
    net_account: int
    net_global: int
    orders_per_minute: int
    orders_per_minute_strategy: int
    max_open_orders: int
    max_open_orders_strategy: int
    collar_bps: int
    slippage_bps: int
    disagreement_bps: int
    quote_age_max_ns: int
    decision_ttl_ns: int
    reconcile_age_max_ns: int
    unknown_age_max_ns: int
    stream_age_max_ns: int
    clock_offset_max_ns: int
    clock_age_max_ns: int
    equity_age_max_ns: int
    near_window_ns: int
    loss_cooldown_ns: int
    leverage_max: int
    margin_ratio_max: int
    liquidation_distance_min: int
    weight_headroom: int
    repeated_executions: int
    sends_per_decision: int


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A circuit breaker that blocks this order now."""

    name: str
    scope: str
    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class ModelServed:
    """The model a strategy decides by, as the registry put it in force and as it is really loaded.

    Attributes
    ----------
    stage : the registry's word; only `champion` and `canary` trade.
    digest, loaded_digest : what is in force, and what the serving process verified; they must be equal.
    valid_for_ns : how long the grant still holds.
    canary_cap : quote units a canary may expose; None for a champion.
    part : of the order that is the strategy's own, in UNITS; the rest is for others netted with it.
    """

    name: str
    stage: str
    digest: str
    loaded_digest: str | None
    valid_for_ns: int
    canary_cap: int | None = None
    part: int = UNITS


@dataclass(frozen=True, slots=True)
class AccountMode:
    """How the venue has a futures account set up for the symbol, beside how it should be."""

    hedge: bool
    isolated: bool
    leverage: int
    expected_hedge: bool
    expected_isolated: bool


@dataclass(frozen=True, slots=True)
class MarginState:
    """A futures account's margin, quote units.

    Attributes
    ----------
    balance : wallet plus unrealised result.  available : free for new initial margin.
    leverage, brackets : of the symbol being traded.  held : every position; the order's own is marked.
    """

    balance: int
    available: int
    leverage: int
    brackets: tuple[MarginBracket, ...]
    held: tuple[MarginHeld, ...] = ()


@dataclass(frozen=True, slots=True)
class LossMeasured:
    """What one scope has lost, mark to market, beside the limits set for exactly this scope.

    Attributes
    ----------
    age_ns : since it was measured; None when it never was.
    loss : quote units lost since the day began (a gain is negative).  drawdown : parts of a million below the peak.
    streak : trades in a row that lost.  *_limit : None where this scope has no such limit of its own.
    """

    scope: str
    age_ns: int | None
    loss: int
    drawdown: int
    streak: int
    loss_limit: int | None = None
    drawdown_limit: int | None = None
    streak_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Blackout:
    """A window in which a scope takes no new risk."""

    scope: str
    reason: str
    left_ns: int


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """What a decision wanted and how much of it is out already: base units, and orders made for it."""

    quantity: int
    children: int
    sends: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A second person's leave for one order beyond a soft limit; consumed by the order that uses it."""

    max_notional: int
    valid_for_ns: int


@dataclass(frozen=True, slots=True)
class NetExposure:
    """A net bucket: signed quote units the positions carry, and what open buys and sells may add."""

    carried: int = 0
    open_buy: int = 0
    open_sell: int = 0

    def worst(self, side: Side | None = None, notional: int = 0) -> int:
        """Return the largest absolute net exposure the open orders, and one more, could lead to."""
        buy = self.open_buy + (notional if side is Side.BUY else 0)
        sell = self.open_sell + (notional if side is Side.SELL else 0)
        return max(abs(self.carried + buy), abs(self.carried - sell))


@dataclass(frozen=True, slots=True)
class GroupUse:
    """What the symbols of one correlated group hold together, quote units."""

    name: str
    used: int


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """The order as the rails judge it.

    Attributes
    ----------
    type : what was asked for; a MARKET order is judged by its protective limit.
    ticks : limit price, or the protective limit of a market order; None when there is no price.
    steps : quantity.  notional : quote units at `ticks`.
    sent_type, sent_tif : what will be sent for it; None when it could not be made into an order.
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
    sent_type: OrderType | None = OrderType.LIMIT
    sent_tif: TimeInForce | None = TimeInForce.IOC
    is_manual: bool = False
    is_flattener: bool = False
    is_protective: bool = False
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class RiskContext:
    """Everything about the world the rails may ask. None means "never known", and denies, unless said otherwise.

    Attributes
    ----------
    level, level_scope : effective kill level (the maximum over scopes) and the scope it comes from.
    limits_valid_for_ns : how long the limits in force still hold; zero or less means expired.
    allowed_symbols, allowed_types : policy; `*` in the symbols allows every one.
    model : what the strategy decides by; None where it uses no model.
    mode, margin : of a futures account; None on spot.
    best_bid, best_ask : top of the book in ticks.  quote_age_ns : since it was received.
    last : last trade in ticks, None before the first.  mark : mark price in ticks, None on spot.
    clock_offset_ns, clock_age_ns : the venue's clock less ours, and how long ago that was measured.
    bar_is_acted_on : a newer bar of the same strategy and symbol has led to an order already.
    position : signed base units held.  open_buy, open_sell : base units of open orders on the symbol,
        RESERVED, SENDING and UNKNOWN ones included.
    free_base, free_quote : units the venue reported free.  pending_base, pending_quote : units our
        orders need that this report does not show as locked yet.
    used_* : quote units the bucket holds now (open orders and positions).
    groups : every correlated group the symbol belongs to, with what its symbols hold together.
    orders_last_minute : orders asked for in the last 60 s; leaving_order_age_ns : age of that one of them which must
        be older than 60 s before there is room for one more, 0 where there is room; the same for the strategy's own.
    reconciled_age_ns : since the account was last found equal to the venue.
    stream_age_ns : since its user stream was last heard.
    unknown_age_ns : age of the oldest UNKNOWN order on the symbol, 0 when there is none.
    weight_used, weight_limit : request weight of the venue in the running minute.
    executions : how often this rule (strategy, symbol, side) was executed inside the watched window.
    rejected, rejected_age_ns : how often in a row the venue refused exactly this order, and how long ago last.
    same_decision : orders that exist under this order's own key.
    near_age_ns : age of the newest order of the strategy, of another plan, that is nearly this one; None for none.
    crossing : best price in ticks of an own resting order on the other side, None when there is none.
    losses : every scope with a loss limit.  last_loss_age_ns : since the strategy last closed at a loss, or None.
    parent : the decision this order is a child of; None for a person's own order.
    grant : a second person's leave, or None.
    """

    instrument: Instrument
    limits: RiskLimits
    level: Level
    level_scope: str
    limits_valid_for_ns: int
    strategy_enabled: bool
    model: ModelServed | None
    allowed_symbols: frozenset[str]
    allowed_types: frozenset[OrderType]
    mode: AccountMode | None
    best_bid: int | None
    best_ask: int | None
    quote_age_ns: int | None
    last: int | None
    mark: int | None
    clock_offset_ns: int | None
    clock_age_ns: int | None
    bar_is_acted_on: bool
    position: int | None
    open_buy: int
    open_sell: int
    open_orders: int
    open_orders_strategy: int
    free_base: int | None
    free_quote: int | None
    pending_base: int
    pending_quote: int
    margin: MarginState | None
    used_symbol: int
    used_strategy: int
    used_strategy_symbol: int
    groups: tuple[GroupUse, ...]
    used_account: int
    used_global: int
    net_account: NetExposure
    net_global: NetExposure
    orders_last_minute: int
    leaving_order_age_ns: int
    orders_last_minute_strategy: int
    leaving_order_age_strategy_ns: int
    reconciled_age_ns: int | None
    stream_age_ns: int | None
    unknown_age_ns: int
    weight_used: int
    weight_limit: int
    executions: int
    rejected: int
    rejected_age_ns: int
    same_decision: int
    near_age_ns: int | None
    crossing: int | None
    losses: tuple[LossMeasured, ...]
    last_loss_age_ns: int | None
    blackouts: tuple[Blackout, ...]
    parent: ParentOrder | None
    grant: Grant | None
    open_breakers: tuple[OpenBreaker, ...] = ()
    lease_left_ns: int | None = None
    lease_needed_ns: int = 0


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
    # Every cap asks for the same number of the same two records: it is worked out once.
    known_order, known_context, known = _reserved[0]
    if known_order is order and known_context is context:
        return known
    if context.position is None:
        raise ValueError("the position was never loaded")
    quantity = order_quantity(order, context)
    increase = exposure_increase(context.position, context.open_buy, context.open_sell, order.side, quantity)
    reserve = reserved_notional(order.notional, increase, quantity)
    _reserved[0] = (order, context, reserve)  # one assignment: another thread sees the old or the new, whole
    return reserve


_reserved: list[tuple[OrderCheck | None, RiskContext | None, int]] = [(None, None, 0)]
