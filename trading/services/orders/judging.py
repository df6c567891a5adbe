"""What the rails say of an order: its premises read behind the locks, routed, and every rail asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from nautilus_site.common.clock import now
from trading.domain.refusals import Refused
from trading.domain.risk import (
    OrderCheck,
    RailResult,
    RiskContext,
    check_order,
    first_denial,
    order_reserve,
)
from trading.domain.risk.answers import AMOUNT
from trading.domain.risk.reasons import DenyReason
from trading.domain.router import Routed, route
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Side, from_units
from trading.models import Order
from trading.services.controls.limit_versions import LIMITS_DIGEST, KnownLimits, limits_known
from trading.services.escrow import escrow_ensure
from trading.services.exposure import part_of_global
from trading.services.market import Market
from trading.services.orders.submission import Submission
from trading.services.reserved_books import Books
from trading.services.risk_context import Asked, risk_context

_PREMISES: Final = f"""
SELECT {LIMITS_DIGEST}, (SELECT id FROM trading_order WHERE intent_key = %(intent_key)s),
       quote.bid, quote.ask, quote.received_at, quote.last_price, quote.mark_price
  FROM (SELECT %(instrument)s::bigint AS id) AS asked
  LEFT JOIN universe_quote AS quote ON quote.instrument_id = asked.id
"""  # noqa: S608  only our own constants are put in


@dataclass(frozen=True, slots=True)
class Premises:
    """What an order is routed by, read behind the locks of its books."""

    scopes: list[str]
    limits: KnownLimits
    market: Market
    existing: int | None
    """The order that has its intent key already."""


def premises_read(submission: Submission) -> Premises:
    """Limits in force, the book, and whether the same was asked for before, in one statement.

    Raises
    ------
    ApplicationError : NOT_READY, a limit has no row.
    """
    scopes = submission.scopes()
    parameters: dict[str, Any] = {
        "limit_scopes": scopes,
        "instrument": submission.instrument.pk,
        "intent_key": submission.intent_key,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PREMISES, parameters)
        digest, existing, bid, ask, received_at, last, mark = cursor.fetchone()
    limits = limits_known(digest, scopes)
    return Premises(scopes, limits, Market(bid, ask, received_at, last, mark), existing)


@dataclass(frozen=True, slots=True)
class Judged:
    """An order as the rails saw it, and what they said."""

    routed: Routed | None
    order: OrderCheck
    context: RiskContext
    denial: RailResult | None
    results: tuple[RailResult, ...]
    versions: dict[str, int]


def judge(submission: Submission, books: Books, premises: Premises) -> Judged:
    """Ask every rail about an order, in their declared order."""
    market, limits = premises.market, premises.limits
    domain = submission.instrument.to_domain()
    intent = submission.intent
    # Open orders are counted by the rail of the venue's filters, under the lock.
    routed = route(
        intent,
        domain,
        best_bid=market.bid,
        best_ask=market.ask,
        collar_bps=int(limits.in_force.values["market_slippage"]),
        client_order_id=submission.client_order_id,
    )
    sent = routed if isinstance(routed, Routed) else None
    ticks, steps = (sent.ticks, sent.steps) if sent else (intent.price, intent.quantity)
    by_hand = submission.origin == Order.Origin.MANUAL
    context = risk_context(
        account=submission.account,
        instrument=submission.instrument,
        domain=domain,
        strategy=submission.strategy,
        scopes=premises.scopes,
        asked=Asked(
            side=intent.side,
            type=intent.type,
            quantity=domain.quantity(steps),
            price=domain.price(ticks) if ticks is not None else None,
            client_order_id=submission.client_order_id,
            plan=submission.plan,
            decision=submission.decision,
            by_hand=by_hand,
            part=submission.part,
        ),
        books=books,
        market=market,
        limits=limits,
    )
    order = OrderCheck(
        account=submission.account.name,
        strategy=submission.strategy_name,
        symbol=submission.instrument.symbol,
        side=intent.side,
        type=intent.type,
        ticks=ticks,
        steps=steps,
        notional=_notional(routed, submission, domain, market),
        reduce_only=intent.reduce_only,
        decision_age_ns=int((now() - submission.decided_at).total_seconds() * 1e9),
        sent_type=sent.order.type if sent else None,
        sent_tif=sent.order.time_in_force if sent else None,
        is_manual=by_hand,
        is_flattener=submission.origin == Order.Origin.FLATTEN,
        is_protective=submission.origin == Order.Origin.PROTECTION,
        stop=submission.intent.stop,
    )
    results = check_order(order, context)
    denial = first_denial(results)
    if isinstance(routed, Refused):
        refusal = RailResult(
            routed.rule, False, routed.code, routed.measured, routed.limit, "", routed.detail
        )
        # The rails' own order decides which "no" is told first; the router's comes where the venue filters stand.
        if denial is None:
            denial, results = refusal, (*results, refusal)
        return Judged(None, order, context, denial, results, limits.in_force.versions)
    return Judged(routed, order, context, denial, results, limits.in_force.versions)


def _notional(
    routed: Routed | Refused, submission: Submission, domain: DomainInstrument, market: Market
) -> int:
    if isinstance(routed, Routed):
        return routed.notional_units
    ticks = submission.intent.price
    if ticks is None:
        price = market.ask if submission.intent.side is Side.BUY else market.bid
        ticks = domain.ticks(price) if price else 0
    return domain.notional_units(ticks, submission.intent.quantity)


def global_room(submission: Submission, judged: Judged, books: Books) -> RailResult | None:
    """Have room for the order in the account's part of the global cap, or say that none is left anywhere.

    The rail has read the sum of all parts without a lock; here it is made good under one.
    """
    reserve = order_reserve(judged.order, judged.context)
    part = books.buckets[part_of_global(submission.account.name)]
    if not reserve or from_units(reserve) <= part.cap - part.used:
        return None
    if escrow_ensure(submission.account.name, from_units(reserve)):
        return None
    cap = judged.context.limits.exposure_global
    detail = "no room is left under the cap over everything"
    after = judged.context.used_global + reserve
    unit = submission.instrument.quote_asset
    return RailResult(
        "exposure_global", False, DenyReason.EXPOSURE_GLOBAL, after, cap, unit, detail, None, AMOUNT
    )
