"""Circuit breakers as they are shown."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.errors import NotFound
from trading.models import CircuitBreaker
from trading.selectors.notation import utc_text


def breaker_queryset() -> QuerySet[CircuitBreaker]:
    """Breakers, newest first."""
    return CircuitBreaker.objects.order_by("-id")


def breaker_get(breaker_id: int) -> CircuitBreaker:
    """One breaker by id.

    Raises
    ------
    NotFound : UNKNOWN_BREAKER.
    """
    breaker = CircuitBreaker.objects.filter(pk=breaker_id).first()
    if breaker is None:
        raise NotFound("UNKNOWN_BREAKER", f"no breaker has the id {breaker_id}")
    return breaker


def breaker_members(breaker: CircuitBreaker) -> dict[str, Any]:
    """The public members of a breaker; `measured` is in its rule's unit."""
    return {
        "id": breaker.pk,
        "name": breaker.name,
        "scope": breaker.scope,
        "state": breaker.state,
        "reason": breaker.reason,
        "measured": breaker.measured,
        "samples": breaker.samples,
        "unit": breaker.unit,
        "action": breaker.action,
        "reset": breaker.reset,
        "is_enabled": breaker.is_enabled,
        "rule": breaker.rule_members,
        "evaluated_at": utc_text(breaker.evaluated_at),
        "changed_at": utc_text(breaker.changed_at),
        "retry_at": utc_text(breaker.retry_at),
    }
