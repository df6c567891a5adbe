"""Rails about knowledge: do we know the prices, the time and our own books well enough to send?"""

from __future__ import annotations

from typing import Final

from trading.domain.risk.answers import SECONDS, allowed, denied, seconds
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext, reduces
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Market

_BPS: Final = 10_000


def price_available(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny without a two-sided book and a limit: such an order cannot be valued (W5, W16)."""
    for name, value in (("bid", context.best_bid), ("ask", context.best_ask), ("limit", order.ticks)):
        if value is None or value <= 0:
            detail = f"{order.symbol} has no {name} price"
            return denied("price_available", DenyReason.PRICE_UNAVAILABLE, value, 1, "ticks", detail)
    return allowed("price_available", order.ticks, None, "ticks")


def price_fresh(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny on a price received too long ago (P07)."""
    age, limit = context.quote_age_ns, context.limits.quote_age_max_ns
    if age is None:
        detail = f"no price of {order.symbol} was ever received"
        return denied("price_fresh", DenyReason.PRICE_STALE, None, limit, "s", detail, scale=SECONDS)
    if age <= limit:
        return allowed("price_fresh", age, limit, "s", SECONDS)
    detail = f"the price of {order.symbol} is {seconds(age):g} s old, at most {seconds(limit):g} s"
    return denied("price_fresh", DenyReason.PRICE_STALE, age, limit, "s", detail, scale=SECONDS)


def price_sources(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while the middle of the book, the last trade and the mark price are too far apart (P08).

    A symbol that has never traded has no last price; only USD-M has a mark price, and needs it.
    """
    limit, code = context.limits.disagreement_bps, DenyReason.PRICE_SOURCES_DISAGREE
    if not context.best_bid or not context.best_ask:
        detail = f"no middle price of {order.symbol} to compare with"
        return denied("price_sources", code, None, limit, "bps", detail)
    if context.mark is None and context.instrument.market is Market.usdm:
        detail = f"no mark price of {order.symbol} was ever received"
        return denied("price_sources", code, None, limit, "bps", detail)
    # Doubled, so that the middle stays a whole number.
    low = high = context.best_bid + context.best_ask
    for price in (context.last, context.mark):
        if price is not None:
            low, high = min(low, 2 * price), max(high, 2 * price)
    measured = round((high - low) * _BPS / low, 4)
    if (high - low) * _BPS <= limit * low:
        return allowed("price_sources", measured, limit, "bps")
    detail = f"prices of {order.symbol} are {measured:g} bps apart, at most {limit} bps"
    return denied("price_sources", code, measured, limit, "bps", detail)


def clock_offset(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while the venue's clock is too far from ours, or was not compared lately (P09)."""
    offset, age = context.clock_offset_ns, context.clock_age_ns
    limit, oldest = context.limits.clock_offset_max_ns, context.limits.clock_age_max_ns
    code = DenyReason.CLOCK_OFFSET
    if offset is None or age is None:
        detail = "the venue's clock was never compared with ours"
        return denied("clock_offset", code, None, limit, "s", detail, scale=SECONDS)
    if age > oldest:
        detail = f"the venue's clock was compared {seconds(age):g} s ago, at most {seconds(oldest):g} s"
        return denied("clock_offset", code, age, oldest, "s", detail, scale=SECONDS)
    if abs(offset) <= limit:
        return allowed("clock_offset", offset, limit, "s", SECONDS)
    detail = f"the venue's clock is {seconds(offset):g} s ahead of ours, at most {seconds(limit):g} s"
    return denied("clock_offset", code, offset, limit, "s", detail, scale=SECONDS)


def reconciled(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny until the account was found equal to the venue, recently; also while balances are unknown.

    An account whose balances were never loaded is "not ready", not bankrupt (P11, W35).
    """
    age, limit = context.reconciled_age_ns, context.limits.reconcile_age_max_ns
    code = DenyReason.NOT_RECONCILED
    if context.position is None or context.free_base is None or context.free_quote is None:
        unknown = [
            name
            for name, value in (
                ("position", context.position),
                ("base balance", context.free_base),
                ("quote balance", context.free_quote),
            )
            if value is None
        ]
        detail = f"not ready: {', '.join(unknown)} of account {order.account} never loaded"
        return denied("reconciled", code, None, limit, "s", detail, scale=SECONDS)
    if age is None:
        detail = f"account {order.account} was never reconciled"
        return denied("reconciled", code, None, limit, "s", detail, scale=SECONDS)
    if age <= limit:
        return allowed("reconciled", age, limit, "s", SECONDS)
    detail = f"account {order.account} was reconciled {seconds(age):g} s ago, at most {seconds(limit):g} s"
    return denied("reconciled", code, age, limit, "s", detail, scale=SECONDS)


def user_stream(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk while nobody tells us of our fills: the account's user stream is silent (P11)."""
    age, limit = context.stream_age_ns, context.limits.stream_age_max_ns
    if (age is not None and age <= limit) or reduces(order, context):
        return allowed("user_stream", age, limit, "s", SECONDS)
    since = "was never heard" if age is None else f"was last heard {seconds(age):g} s ago"
    detail = f"the user stream of account {order.account} {since}, at most {seconds(limit):g} s"
    return denied("user_stream", DenyReason.NOT_RECONCILED, age, limit, "s", detail, scale=SECONDS)


def unknown_orders(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while an order on the symbol has been UNKNOWN for too long (P11)."""
    age, limit = context.unknown_age_ns, context.limits.unknown_age_max_ns
    if age <= limit:
        return allowed("unknown_orders", age, limit, "s", SECONDS)
    detail = (
        f"an order on {order.symbol} has been UNKNOWN for {seconds(age):g} s, at most {seconds(limit):g} s"
    )
    return denied("unknown_orders", DenyReason.NOT_RECONCILED, age, limit, "s", detail, scale=SECONDS)
