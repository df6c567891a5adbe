"""Channels, routes, deliveries, and how far behind the telling is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import Count, Max, Min, Q
from prometheus_client.core import GaugeMetricFamily, Metric

from governance.domain.notices import EVERYTHING, Rule, at_least, route_for
from governance.models import EventCursor, NotificationChannel, NotificationDelivery, NotificationRoute
from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent
from trading.selectors.notation import utc_text

_CURSOR = "notifications"
_UNSENT = Q(deliveries__state__in=("waiting", "sending"))


def channel_queryset() -> Any:
    """Channels with what waits for each."""
    return NotificationChannel.objects.annotate(
        waiting=Count("deliveries", filter=_UNSENT),
        oldest_due=Min("deliveries__due_at", filter=_UNSENT),
    ).order_by("name")


def channel_members(row: Any) -> dict[str, Any]:
    """A channel as it may be shown: never its sealed part."""
    moment = now()
    late = row.oldest_due is not None and row.oldest_due < moment
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "host": row.host,
        "shown": row.shown,
        "is_enabled": row.is_enabled,
        "muted_until": utc_text(row.muted_until) if row.muted_until and row.muted_until > moment else None,
        "failures": row.failures,
        "retry_at": utc_text(row.retry_at),
        "last_sent_at": utc_text(row.last_sent_at),
        "last_error": row.last_error,
        "waiting": row.waiting,
        "lag_s": round((moment - row.oldest_due).total_seconds(), 1) if late else 0.0,
    }


def route_queryset() -> Any:
    return NotificationRoute.objects.select_related("channel").order_by("channel__name", "kind")


def route_members(row: NotificationRoute) -> dict[str, Any]:
    """A route as the API and the page show it."""
    return {
        "id": row.pk,
        "channel": row.channel.name,
        "kind": row.kind,
        "severity": row.severity,
        "digest_s": row.digest_s,
        "dedupe_s": row.dedupe_s,
        "is_enabled": row.is_enabled,
        "changed_by": row.changed_by,
        "changed_at": utc_text(row.changed_at),
    }


def severity_reach() -> list[dict[str, Any]]:
    """Of each severity, the gravest first, who hears it: `channels` all of it, `but_for` all but some kinds,
    `some_kinds` no more than some. `nobody` are kinds no channel hears, `*` what no narrower route names.

    A narrow route decides for its kinds, also where it is switched off.
    """
    rows = NotificationRoute.objects.filter(channel__is_enabled=True).select_related("channel")
    by_channel: dict[str, list[NotificationRoute]] = {}
    for row in rows.order_by("channel__name", "kind"):
        by_channel.setdefault(row.channel.name, []).append(row)
    kinds = {EVERYTHING, *(row.kind for row in rows)}
    return [_reach(severity, by_channel, kinds) for severity in ("critical", "warning", "info")]


def _reach(
    severity: str, by_channel: Mapping[str, list[NotificationRoute]], kinds: Collection[str]
) -> dict[str, Any]:
    heard = {
        name: {kind for kind in kinds if _hears(routes, kind, severity)}
        for name, routes in by_channel.items()
    }
    wide = {name for name, some in heard.items() if EVERYTHING in some}
    missed = {name: sorted({row.kind for row in by_channel[name]} - heard[name]) for name in sorted(wide)}
    return {
        "severity": severity,
        "channels": [name for name, kinds_missed in missed.items() if not kinds_missed],
        "but_for": {name: kinds_missed for name, kinds_missed in missed.items() if kinds_missed},
        "some_kinds": sorted(name for name, some in heard.items() if some and name not in wide),
        "nobody": sorted(set(kinds).difference(*heard.values())),
    }


def _hears(routes: list[NotificationRoute], kind: str, severity: str) -> bool:
    """Whether a channel hears of a kind, as a pattern: `*` is what none of its narrower routes names."""
    stem = "" if kind == EVERYTHING else kind.removesuffix(".*")
    rule = route_for(stem, [Rule(number, row.kind, row.severity) for number, row in enumerate(routes)])
    if rule is None:
        return False
    return routes[rule.key].is_enabled and at_least(severity, rule.severity)


def delivery_queryset() -> Any:
    return NotificationDelivery.objects.select_related("channel").order_by("-pk")


def delivery_members(row: NotificationDelivery) -> dict[str, Any]:
    """One line of the delivery log."""
    lag = (row.sent_at - row.event_at).total_seconds() if row.sent_at is not None else None
    return {
        "id": row.pk,
        "channel": row.channel.name,
        "kind": row.kind,
        "severity": row.severity,
        "title": row.title,
        "text": row.text,
        "link": row.link,
        "state": row.state,
        "event_id": row.event_id,
        "event_at": utc_text(row.event_at),
        "due_at": utc_text(row.due_at),
        "retry_at": utc_text(row.retry_at) if row.state == "waiting" else None,
        "sent_at": utc_text(row.sent_at),
        "lag_s": round(lag, 1) if lag is not None else None,
        "attempts": row.attempts,
        "repeats": row.repeats,
        "error": row.error,
    }


def events_behind() -> int | None:
    """How many numbered events the cursor has not read yet; None before it was ever moved."""
    cursor = EventCursor.objects.filter(name=_CURSOR).first()
    if cursor is None:
        return None
    newest = OutboxEvent.objects.aggregate(newest=Max("event_id"))["newest"] or 0
    return max(0, newest - cursor.event_id)


def notification_gauges() -> Iterable[Metric]:
    """How much waits to be told, and for how long the oldest of it."""
    waiting = GaugeMetricFamily(
        "notifications_waiting", "Deliveries that are not sent yet.", labels=["channel"]
    )
    lag = GaugeMetricFamily(
        "notifications_oldest_due_seconds",
        "For how long the oldest unsent delivery is due.",
        labels=["channel"],
    )
    for row in channel_queryset().filter(is_enabled=True):
        told = channel_members(row)
        waiting.add_metric([row.name], told["waiting"])
        lag.add_metric([row.name], told["lag_s"])
    yield waiting
    yield lag
    behind = events_behind()
    if behind is not None:
        yield GaugeMetricFamily(
            "notification_events_behind", "Events the notifier has not read yet.", value=behind
        )
