"""One step of one bracket: read, decide, write, send. Safe to run twice, late, or after a crash between lines."""

from __future__ import annotations

import contextlib
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.brackets import Amend, BracketState, Decision, Facts, Place, Role, decide
from trading.domain.orders import OrderIntent, client_order_id
from trading.domain.values import (
    ListKind,
    Market,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
    decimal_text,
)
from trading.models import Bracket, BracketEvent, BracketLeg, Order
from trading.services.brackets.reading import facts_of, open_entries, position_of
from trading.services.execution.amend import order_amend_request
from trading.services.orders.cancel import order_cancel_request
from trading.services.orders.lists import order_list_submit
from trading.services.orders.submission import Submission
from trading.services.orders.submit import order_submit

log = structlog.get_logger(__name__)
S = BracketState


def bracket_step(*, bracket_id: int) -> Bracket | None:
    """Take one step. None when it is over, or another worker is at it."""
    stepped = _step(bracket_id)
    if stepped is None:
        return None
    bracket, decision = stepped
    crash_point("bracket")
    # Cancels follow when the position is let go: settling locks an order before its position.
    keys = [cancel.key for cancel in decision.cancels]
    orders = Order.objects.filter(account_id=bracket.account_id, client_order_id__in=keys)
    for order in [*orders, *(open_entries(bracket) if decision.cancel_entries else ())]:
        if order.cancel_requested_at is None:
            with contextlib.suppress(Conflict):  # over by itself in the meantime
                order_cancel_request(order=order, actor="bracket", reason=_why(decision))
    for amend in decision.amends:
        _amend(bracket, amend, _why(decision))
    return bracket


def _amend(bracket: Bracket, amend: Amend, reason: str) -> None:
    order = Order.objects.get(account_id=bracket.account_id, client_order_id=amend.key)
    with contextlib.suppress(ApplicationError):  # it has traded or ended in the meantime: judged anew
        order_amend_request(
            order=order,
            quantity=bracket.instrument.to_domain().quantity(amend.quantity),
            actor="bracket",
            reason=reason,
            key=f"bracket:{order.pk}:{amend.quantity}",
        )


@transaction.atomic
def _step(bracket_id: int) -> tuple[Bracket, Decision] | None:
    bracket = (
        Bracket.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("account__venue", "instrument", "strategy")
        .filter(pk=bracket_id, ended_at=None)
        .first()
    )
    if bracket is None:
        return None
    position = position_of(bracket, lock=True)
    facts = facts_of(bracket, position)
    decision = decide(facts)
    _note(bracket, facts, decision)
    for place in decision.places:
        _place(bracket, place, facts)
    bracket.save()
    if bracket.state == S.YIELDING and not (decision.cancels or decision.amends or decision.places):
        # The coins are free: whoever wanted to sell them is called.
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=bracket.account_id,
            instrument_id=bracket.instrument_id,
        )
    return bracket, decision


def _note(bracket: Bracket, facts: Facts, decision: Decision) -> None:
    """Write down what was decided: state, how long anything is naked, and an event where something changed."""
    moment = now()
    domain = bracket.instrument.to_domain()
    before = bracket.state
    bracket.state = decision.state
    newly = decision.exit_reason and not bracket.exit_reason
    bracket.exit_reason = decision.exit_reason or bracket.exit_reason
    naked = domain.quantity(decision.unprotected)
    bracket.unprotected_quantity = naked
    if not naked:
        bracket.unprotected_since = None
    elif bracket.unprotected_since is None:
        bracket.unprotected_since = moment
    bracket.breached_at = (bracket.breached_at or moment) if decision.breached else None
    bracket.updated_at = moment
    if decision.state is S.PROTECTED and bracket.protected_at is None:
        bracket.protected_at = moment
    if decision.state is S.DONE:
        bracket.ended_at = moment
    if newly:
        log.warning("bracket_exits", bracket=bracket.pk, symbol=domain.symbol, reason=decision.exit_reason)
        audit_record(
            action="bracket.exit",
            target=f"bracket:{bracket.pk}",
            actor="bracket",
            reason=decision.exit_reason,
            after={"quantity": decimal_text(domain.quantity(facts.covered))},
        )
        if decision.exit_reason == "UNPROTECTED_TOO_LONG":
            _alarm(bracket, facts)
    if before != bracket.state or decision.places or decision.cancels or decision.amends or newly:
        bracket_event(
            bracket,
            "decided",
            {
                "covered": decimal_text(domain.quantity(facts.covered)),
                "unprotected": decimal_text(naked),
                "places": len(decision.places),
                "cancels": len(decision.cancels),
                **({"amends": len(decision.amends)} if decision.amends else {}),
                **({"reason": decision.exit_reason} if decision.exit_reason else {}),
                **({"note": decision.note} if decision.note else {}),
            },
        )


def _alarm(bracket: Bracket, facts: Facts) -> None:
    """Call people: a position is closed at the market because it could not be protected."""
    metrics.INCIDENTS.labels(kind="unprotected_position").inc()
    publish(
        "incidents",
        {
            "kind": "unprotected_position",
            "account": bracket.account.name,
            "symbol": bracket.instrument.symbol,
            "quantity": decimal_text(bracket.instrument.to_domain().quantity(facts.covered)),
            "unprotected_s": round(facts.unprotected_ns / 1e9, 1),
            "last_refusal": bracket.last_refusal,
            "text": "no stop could be placed in time: the position is being closed at the market",
        },
    )


def bracket_event(bracket: Bracket, what: str, detail: dict[str, Any]) -> None:
    """Write one step of a bracket's life down."""
    BracketEvent.objects.create(bracket=bracket, at=now(), state=bracket.state, what=what, detail=detail)


def _place(bracket: Bracket, place: Place, facts: Facts) -> None:
    """Reserve the orders of one slice. A refusal is recorded with its orders; the next step sees it and waits."""
    bracket.commands += 1
    wanted = _intents(bracket, place, facts)
    submissions = [_submission(bracket, role, intent) for role, intent in wanted]
    try:
        if len(submissions) == 1:
            order_submit(submissions[0])
        else:
            order_list_submit(
                submissions, kind=ListKind.OCO, client_list_id=_client_id(bracket, f"{bracket.commands}:list")
            )
    except ApplicationError as refusal:
        log.warning(
            "protection_refused", bracket=bracket.pk, symbol=bracket.instrument.symbol, code=refusal.code
        )
    rows = {
        order.intent_key: order
        for order in Order.objects.filter(intent_key__in=[s.intent_key for s in submissions])
    }
    for (role, _), submission in zip(wanted, submissions, strict=True):
        order = rows.get(submission.intent_key)
        if order is not None:
            BracketLeg.objects.create(
                bracket=bracket,
                order=order,
                role=role,
                group=bracket.commands,
                target=place.slice.target if role in (Role.TAKE_PROFIT, Role.EXIT) else None,
            )


def _intents(bracket: Bracket, place: Place, facts: Facts) -> list[tuple[Role, OrderIntent]]:
    """The orders of a slice; of two the one above the market first, as the venue lists them."""
    piece, spot = place.slice, facts.market is Market.spot
    plain: dict[str, Any] = {
        "symbol": bracket.instrument.symbol,
        "side": Side(bracket.exit_side),
        "quantity": piece.quantity,
        "reduce_only": True,
        "position_side": PositionSide(bracket.position_side),
    }
    if place.at_market:
        why = bracket.exit_reason or "the take-profit was reached"
        kind: dict[str, Any] = {"type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "price": None}
        return [(Role.EXIT, OrderIntent(**plain, **kind, reason=why))]
    waits: dict[str, Any] = {**plain, "time_in_force": TimeInForce.GTC}
    if not spot:
        waits["working_type"] = WorkingType.CONTRACT_PRICE
    found: list[tuple[Role, OrderIntent]] = []
    if piece.take_profit is not None:
        if spot:
            order = OrderIntent(
                **waits, type=OrderType.LIMIT_MAKER, price=piece.take_profit, reason="take-profit"
            )
        else:
            order = OrderIntent(
                **waits,
                type=OrderType.TAKE_PROFIT_MARKET,
                price=None,
                stop=piece.take_profit,
                reason="take-profit",
            )
        found.append((Role.TAKE_PROFIT, order))
    if piece.stop is not None:
        limited = piece.stop_limit is not None
        order = OrderIntent(
            **waits,
            type=OrderType.STOP_LIMIT if limited else OrderType.STOP_MARKET,
            price=piece.stop_limit,
            stop=piece.stop,
            reason="stop",
        )
        found.append((Role.STOP, order))
    if piece.callback_bps is not None:
        order = OrderIntent(
            **waits,
            type=OrderType.TRAILING_STOP_MARKET,
            price=None,
            stop=piece.activation,
            callback_bps=piece.callback_bps,
            reason="trailing stop",
        )
        found.append((Role.TRAILING, order))
    return found


def _submission(bracket: Bracket, role: Role, intent: OrderIntent) -> Submission:
    return Submission(
        account=bracket.account,
        instrument=bracket.instrument,
        intent=intent,
        origin=Order.Origin.PROTECTION,
        intent_key=f"bracket:{bracket.pk}:{bracket.commands}:{role}",
        client_order_id=_client_id(bracket, f"{bracket.commands}:{role}"),
        decided_at=now(),
        strategy=bracket.strategy,
    )


def _client_id(bracket: Bracket, leg: str) -> str:
    return client_order_id(
        settings.BINANCE_ENV, bracket.account.name, "bracket", f"bracket-{bracket.pk}", leg, 0
    )


def _why(decision: Decision) -> str:
    if decision.exit_reason:
        return f"closing at the market: {decision.exit_reason}"
    if decision.state in (S.CLOSING, S.DONE):
        return "the position is gone"
    return "its protection is replaced" if decision.state is not S.YIELDING else "stands down for a sale"
