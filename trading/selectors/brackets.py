"""Brackets as the API, the pages, the metrics and the kill path see them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.clock import now
from nautilus_site.common.errors import NotFound
from trading.domain.brackets import Role
from trading.models import Bracket, BracketLeg, Order
from trading.selectors.notation import amount_text, utc_text


def bracket_queryset() -> QuerySet[Bracket]:
    """Brackets, newest first, with everything `bracket_members` reads."""
    rows = Bracket.objects.select_related("account", "instrument", "strategy").order_by("-id")
    return rows.prefetch_related("legs__order", "events")


def bracket_get(pk: int) -> Bracket:
    """One bracket.

    Raises
    ------
    NotFound : UNKNOWN_BRACKET.
    """
    found = bracket_queryset().filter(pk=pk).first()
    if found is None:
        raise NotFound("UNKNOWN_BRACKET", f"no bracket has the number {pk}")
    return found


def bracket_of_order(order: Order) -> Bracket | None:
    """The bracket an order opened or belongs to."""
    leg = BracketLeg.objects.filter(order=order).first()
    return bracket_get(leg.bracket_id) if leg is not None else None


def bracket_members(bracket: Bracket) -> dict[str, Any]:
    """One bracket: what is wanted, where it stands, and each of its orders."""
    stop = bracket.trailed_price if bracket.trailed_price is not None else bracket.stop_price
    return {
        "id": bracket.pk,
        "account": bracket.account.name,
        "symbol": bracket.instrument.symbol,
        "position_side": bracket.position_side,
        "exit_side": bracket.exit_side,
        "state": bracket.state,
        "source": bracket.source,
        "strategy": bracket.strategy.name if bracket.strategy else None,
        "covers_all": bracket.covers_all,
        "stop_loss": amount_text(bracket.stop_price),
        "stop_limit": amount_text(bracket.stop_limit_price),
        "stop_in_force": amount_text(stop),
        "take_profit": [
            {"price": target["price"], "share": str(target["share_bps"] / 10_000)}
            for target in bracket.take_profits
        ],
        "trailing": str(bracket.trailing_bps / 10_000) if bracket.trailing_bps else None,
        "time_exit_at": utc_text(bracket.exit_at),
        "exit_reason": bracket.exit_reason or None,
        "last_refusal": bracket.last_refusal or None,
        "unprotected_quantity": amount_text(bracket.unprotected_quantity),
        "unprotected_s": unprotected_seconds(bracket),
        "opened_at": utc_text(bracket.opened_at),
        "protected_at": utc_text(bracket.protected_at),
        "ended_at": utc_text(bracket.ended_at),
        "orders": [
            {
                "id": str(leg.order.uid),
                "role": leg.role,
                "type": leg.order.type,
                "status": leg.order.status,
                "quantity": amount_text(leg.order.quantity),
                "executed_quantity": amount_text(leg.order.executed_quantity),
                "price": amount_text(leg.order.price),
                "stop_price": amount_text(leg.order.stop_price),
            }
            for leg in bracket.legs.all()
        ],
        "events": [
            {"at": utc_text(event.at), "state": event.state, "what": event.what, "detail": event.detail}
            for event in bracket.events.all()
        ],
    }


def unprotected_seconds(bracket: Bracket) -> float:
    """How long a part that should have a stop at the venue has had none."""
    if bracket.unprotected_since is None or bracket.ended_at is not None:
        return 0.0
    return max(0.0, (now() - bracket.unprotected_since).total_seconds())


def unprotected_by_symbol() -> dict[tuple[str, ...], float]:
    """The longest of these by symbol, zero for every symbol whose position is guarded."""
    longest: dict[tuple[str, ...], float] = {}
    for bracket in Bracket.objects.filter(ended_at=None).select_related("instrument"):
        key = (bracket.instrument.symbol,)
        longest[key] = max(longest.get(key, 0.0), unprotected_seconds(bracket))
    return longest


def protective_ids(account_id: int) -> set[str]:
    """Client order ids of the open orders that protect a position: kept at level CANCEL."""
    legs = BracketLeg.objects.filter(
        order__account_id=account_id,
        order__ended_at=None,
        role__in=(Role.STOP, Role.TAKE_PROFIT, Role.TRAILING),
    )
    return set(legs.values_list("order__client_order_id", flat=True))
