"""How much of what we may send is used: request weight by venue, orders by account, messages by queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.db.models import Count
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from trading.domain.orders import OrderStatus
from trading.models import Account, Order, RiskLimit
from universe.models import Venue, VenueBackoff

log = structlog.get_logger(__name__)
QUEUES = ("control", "trading", "governance", "universe", "training")
WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RateUse:
    """`used` of `limit` in the last 60 s; kind is `weight` (as the venue counts) or `orders` (ours)."""

    venue: str
    kind: str
    used: int
    limit: int
    blocked_until: datetime | None = None
    reason: str = ""

    @property
    def ratio(self) -> float:
        """Used over limit; 1 where the limit leaves no room at all."""
        return self.used / self.limit if self.limit > 0 else 1.0


def orders_made_by_account(now: datetime) -> dict[int, int]:
    """Orders of the last 60 s by account id, counted as the rate rail counts them: all but denied ones."""
    rows = (
        Order.objects.filter(created_at__gt=now - WINDOW)
        .exclude(status=OrderStatus.DENIED)
        .exclude(origin=Order.Origin.EXTERNAL)
        .order_by()
        .values("account_id")
        .annotate(count=Count("id"))
    )
    return {row["account_id"]: row["count"] for row in rows}


def rate_uses(now: datetime) -> list[RateUse]:
    """Every venue's request weight, and its busiest account's orders against the limit in force."""
    venues = list(Venue.objects.order_by("name"))
    backoffs = {row.venue: row for row in VenueBackoff.objects.all()}
    limit = RiskLimit.objects.filter(name="orders_per_minute", scope="global").first()
    made = orders_made_by_account(now)
    accounts = list(Account.objects.values_list("pk", "venue_id"))
    uses: list[RateUse] = []
    for venue in venues:
        backoff = backoffs.get(venue.name)
        if backoff is not None:
            fresh = backoff.used_at is not None and backoff.used_at > now - WINDOW
            waiting = backoff.blocked_until is not None and backoff.blocked_until > now
            uses.append(
                RateUse(
                    venue.name,
                    "weight",
                    backoff.used_weight if fresh else 0,
                    backoff.weight_limit,
                    backoff.blocked_until if waiting else None,
                    backoff.reason if waiting else "",
                )
            )
        if limit is not None:
            busiest = max((made.get(pk, 0) for pk, venue_id in accounts if venue_id == venue.pk), default=0)
            uses.append(RateUse(venue.name, "orders", busiest, int(limit.value)))
    return uses


def queue_depths() -> dict[str, int] | None:
    """Messages waiting in each Celery queue; None while the broker does not answer."""
    try:
        with current_app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
            client = connection.default_channel.client
            return {name: int(client.llen(name)) for name in QUEUES}
    except (KombuError, RedisError, OSError) as error:
        log.warning("queue_depths_unavailable", error=type(error).__name__)
        return None
