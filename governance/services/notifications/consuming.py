"""From events to deliveries: every event is read once, by a cursor that moves in the transaction of what it led to."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import DataError, transaction
from django.db.models import Max, Min, Q

from governance.domain.notices import (
    LONGEST_DEDUPE_S,
    Notice,
    Rule,
    Severity,
    at_least,
    notice_of,
    route_for,
)
from governance.metrics import NOTIFICATIONS
from governance.models import EventCursor, NotificationChannel, NotificationDelivery, NotificationRoute
from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent

CURSOR = "notifications"
BATCH = 500
_TOPICS = ("trading_state", "breakers", "incidents", "approvals", "models", "reconcile")
_REMEMBERED = timedelta(seconds=LONGEST_DEDUPE_S)
_UNREADABLE = (TypeError, ValueError, LookupError, AttributeError, DataError)
"""How a payload of another shape than its reader expects shows."""
log = structlog.get_logger(__name__)


@transaction.atomic
def events_consume() -> int:
    """Read on from the cursor and queue what people should hear. Returns how many deliveries were made.

    Only numbered events are read: they are in commit order, so that none can appear behind the cursor. One that
    another worker is reading at the moment is left to it.
    """
    cursor = _cursor_locked()
    if cursor is None:
        return 0
    span = OutboxEvent.objects.aggregate(oldest=Min("event_id"), newest=Max("event_id"))
    newest = span["newest"] or 0
    if newest <= cursor.event_id:
        return 0
    made = 0
    if span["oldest"] > cursor.event_id + 1 and cursor.event_id:
        made += notice_deliver(_gap(span["oldest"] - cursor.event_id - 1), happened_at=now())
    told = Q(topic__in=_TOPICS) | Q(topic="orders", data__status="DENIED")
    events = list(
        OutboxEvent.objects.filter(told, event_id__gt=cursor.event_id, event_id__lte=newest).order_by(
            "event_id"
        )[:BATCH]
    )
    for event in events:
        made += _event_deliver(event)
    last = events[-1].event_id if len(events) == BATCH else newest
    cursor.event_id, cursor.moved_at = last or newest, now()
    cursor.save(update_fields=["event_id", "moved_at"])
    return made


def _event_deliver(event: OutboxEvent) -> int:
    """Queue what an event tells. One that cannot be read is told as such, and holds up none behind it."""
    try:
        with transaction.atomic():
            notice = notice_of(event.topic, event.data if isinstance(event.data, dict) else {})
            if notice is None:
                return 0
            return notice_deliver(notice, happened_at=event.at, event_id=event.event_id)
    except _UNREADABLE as error:
        log.error(
            "event_not_readable",
            event_id=event.event_id,
            topic=event.topic,
            error=repr(error)[:300],
            exc_info=True,
        )
        return notice_deliver(
            _unreadable(event, type(error).__name__), happened_at=event.at, event_id=event.event_id
        )


def notice_raise(notice: Notice) -> int:
    """Tell people of something no event of the outbox tells. Returns how many channels will get it."""
    return notice_deliver(notice, happened_at=now())


@transaction.atomic
def notice_deliver(
    notice: Notice, *, happened_at: datetime, event_id: int | None = None, except_channel: int | None = None
) -> int:
    """Queue a notice for every channel a route of which covers it. Returns how many."""
    made = 0
    if notice.news:
        # A level that was lowered may be worth no word on a channel; that it is raised again is.
        NotificationDelivery.objects.filter(
            subject=notice.subject[:240], created_at__gt=now() - _REMEMBERED, is_over=False
        ).exclude(news=notice.news[:40]).update(is_over=True)
    for channel, route in _routes(notice):
        if channel.pk != except_channel:
            made += _deliver(notice, channel, route, happened_at=happened_at, event_id=event_id)
    return made


def _routes(notice: Notice) -> list[tuple[NotificationChannel, NotificationRoute]]:
    rows = NotificationRoute.objects.filter(channel__is_enabled=True).select_related("channel")
    by_channel: dict[int, dict[int, NotificationRoute]] = {}
    for row in rows:
        by_channel.setdefault(row.channel_id, {})[row.pk] = row
    chosen = []
    for routes in by_channel.values():
        rule = route_for(notice.kind, [Rule(r.pk, r.kind, r.severity) for r in routes.values()])
        # A narrow route that is switched off silences its kind; the wider one does not speak in its place.
        route = routes[rule.key] if rule is not None else None
        if route is not None and route.is_enabled and at_least(notice.severity, route.severity):
            chosen.append((route.channel, route))
    return chosen


def _deliver(
    notice: Notice,
    channel: NotificationChannel,
    route: NotificationRoute,
    *,
    happened_at: datetime,
    event_id: int | None,
) -> int:
    moment = now()
    if event_id is not None and channel.deliveries.filter(event_id=event_id).exists():
        return 0
    last = (
        channel.deliveries.filter(subject=notice.subject[:240], created_at__gt=moment - _REMEMBERED)
        .order_by("-id")
        .first()
    )
    same = last is not None and last.news == notice.news[:40] and not last.is_over
    # What is graver than what was told of it is no repetition, and is not counted into a message that may be waiting.
    grave = last is not None and at_least(last.severity, notice.severity)
    told = last is not None and same and grave and last.state != NotificationDelivery.State.FAILED
    if last is not None and told and last.created_at > moment - timedelta(seconds=route.dedupe_s):
        last.repeats += 1
        last.save(update_fields=["repeats"])
        NOTIFICATIONS.labels(channel=channel.name, result="deduplicated").inc()
        return 0
    due, collected = moment, False
    if notice.severity is not Severity.critical:
        if channel.muted_until is not None and channel.muted_until > moment:
            due, collected = channel.muted_until, True
        elif route.digest_s:
            due, collected = _digest_due(channel, moment, route.digest_s), True
    NotificationDelivery.objects.create(
        channel=channel,
        kind=notice.kind[:80],
        severity=notice.severity.value,
        title=notice.title[:300],
        text=notice.text[:4000],
        link=notice.link[:200],
        subject=notice.subject[:240],
        news=notice.news[:40],
        event_id=event_id,
        event_at=happened_at,
        created_at=moment,
        due_at=due,
        is_digest=collected,
        before=last.repeats if last is not None and same else 0,
    )
    return 1


def _digest_due(channel: NotificationChannel, moment: datetime, digest_s: int) -> datetime:
    """With the digest that is being collected, or at the end of a new one."""
    end = moment + timedelta(seconds=digest_s)
    collecting = (
        channel.deliveries.filter(
            state=NotificationDelivery.State.WAITING, is_digest=True, due_at__gt=moment, due_at__lte=end
        )
        .order_by("due_at")
        .first()
    )
    return collecting.due_at if collecting is not None else end


def _cursor_locked() -> EventCursor | None:
    """The cursor, None while another worker holds it. A platform that never told anybody begins with the next event."""
    row = EventCursor.objects.select_for_update(skip_locked=True, no_key=True).filter(name=CURSOR).first()
    if row is not None or EventCursor.objects.filter(name=CURSOR).exists():
        return row
    newest = OutboxEvent.objects.aggregate(newest=Max("event_id"))["newest"] or 0
    EventCursor.objects.get_or_create(name=CURSOR, defaults={"event_id": newest, "moved_at": now()})
    return EventCursor.objects.select_for_update(skip_locked=True, no_key=True).filter(name=CURSOR).first()


def _gap(missed: int) -> Notice:
    return Notice(
        kind="notifications.gap",
        severity=Severity.warning,
        title=f"{missed} events were deleted before they could be told",
        text="The notifier stood still for longer than events are kept. The pages and the audit trail have them.",
        link="/notifications/",
        subject="notifications:gap",
    )


def _unreadable(event: OutboxEvent, error: str) -> Notice:
    return Notice(
        kind="notifications.unreadable",
        severity=Severity.critical,
        title=f"an event of {event.topic} cannot be read: look at the pages for what happened",
        text=f"event {event.event_id}: {error}; it may have been anything, a stop included",
        link="/notifications/",
        subject=f"notifications:unreadable:{event.topic}",
    )
