"""The weight treasury's shared row."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, connection

from universe.adapters.binance.budget import Window
from universe.adapters.binance.treasury import WeightState, WeightTreasury
from universe.models import VenueBackoff
from universe.services.rate_budgets import shared_budget

log = structlog.get_logger(__name__)

_MERGE = """
INSERT INTO universe_venuebackoff AS v
       (venue, weight_limit, windows, used_weight, used_at, blocked_until, reason)
VALUES (%(venue)s, %(limit)s, '[]', %(used)s, %(used_at)s, %(blocked_until)s, %(reason)s)
ON CONFLICT (venue) DO UPDATE SET
    used_weight = CASE
        WHEN excluded.used_at IS NULL THEN v.used_weight
        WHEN v.used_at IS NULL OR date_trunc('minute', excluded.used_at) > date_trunc('minute', v.used_at)
            THEN excluded.used_weight
        WHEN date_trunc('minute', excluded.used_at) = date_trunc('minute', v.used_at)
            THEN GREATEST(v.used_weight, excluded.used_weight)
        ELSE v.used_weight END,
    used_at = GREATEST(v.used_at, excluded.used_at),
    reason = CASE WHEN excluded.blocked_until > COALESCE(v.blocked_until, '-infinity')
        THEN excluded.reason ELSE v.reason END,
    blocked_until = GREATEST(v.blocked_until, excluded.blocked_until)
"""


class PostgresBackoffStore:
    """A BackoffStore in one row per venue. A database that is down must not lose a venue's answer, so
    both calls log and carry on with what this process knows itself."""

    def load(self, venue: str) -> WeightState:
        try:
            row = VenueBackoff.objects.filter(venue=venue).first()
        except DatabaseError as error:
            log.warning("venue_backoff_not_read", venue=venue, error=type(error).__name__)
            return WeightState()
        if row is None:
            return WeightState()
        return WeightState(
            row.weight_limit,
            row.used_weight,
            row.used_at,
            row.blocked_until,
            row.reason,
            tuple(Window(*limit) for limit in row.windows),
        )

    def save(self, venue: str, state: WeightState) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    _MERGE,
                    {
                        "venue": venue,
                        "limit": state.limit,
                        "used": state.used,
                        "used_at": state.used_at,
                        "blocked_until": state.blocked_until,
                        "reason": state.reason,
                    },
                )
        except DatabaseError as error:
            log.warning("venue_backoff_not_written", venue=venue, error=type(error).__name__)


def weight_treasury(venue: str, *, address: str = "", market: str = "spot") -> WeightTreasury:
    """A treasury that shares its counts with every process, and its figures through Postgres."""
    return WeightTreasury(
        venue, PostgresBackoffStore(), budget=shared_budget(), address=address, market=market
    )
