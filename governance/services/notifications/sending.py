"""Sending what is due: a child per channel, started and left alone; its answers are read by a later tick."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from governance.adapters.notify import DEADLINE_S, Outcome, child_outcomes, child_refused, child_start
from governance.domain.notices import (
    CRITICAL_S,
    GIVE_UP_S,
    Line,
    Message,
    Notice,
    Severity,
    digest_message,
    retry_after_s,
    single_message,
)
from governance.metrics import NOTIFICATION_LAG, NOTIFICATIONS
from governance.models import NotificationChannel, NotificationDelivery
from governance.services.notifications.channels import channel_refusal
from governance.services.notifications.consuming import notice_deliver
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.services.credentials import secret_open

log = structlog.get_logger(__name__)

MOST_MESSAGES, MOST_DELIVERIES = 10, 200
BURST = 5
"""So many at once still go one by one; more become one message."""
SETTLE_AFTER_S = 10
"""A child whose alarm has rung for so long says nothing more."""
KEEP = timedelta(days=90)
State = NotificationDelivery.State


def deliveries_start() -> int:
    """Start a child for every channel that has something due and none under way. Returns how many were started."""
    waiting = NotificationDelivery.objects.filter(state=State.WAITING, due_at__lte=now())
    channels = waiting.filter(channel__is_enabled=True, channel__claim="").values_list(
        "channel_id", flat=True
    )
    return sum(_start(pk) for pk in sorted(set(channels)))


def _start(pk: int) -> bool:
    with transaction.atomic():
        channel = (
            NotificationChannel.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(pk=pk, claim="")
            .first()
        )
        moment = now()
        if channel is None:
            return False
        due = channel.deliveries.select_for_update(skip_locked=True, no_key=True).filter(
            state=State.WAITING, due_at__lte=moment
        )
        if channel.retry_at is not None and channel.retry_at > moment:
            # A receiver that was gone for hours may be back: a new critical notice does not wait for the pause.
            due = due.filter(severity=Severity.critical, attempts=0)
        rows = list(due.order_by("id")[:MOST_DELIVERIES])
        if not rows:
            return False
        bundles = _bundles(rows)[:MOST_MESSAGES]
        channel.claim = uuid.uuid4().hex
        channel.claimed_until = moment + timedelta(seconds=DEADLINE_S + SETTLE_AFTER_S)
        channel.save(update_fields=["claim", "claimed_until"])
        for number, bundle in enumerate(bundles):
            NotificationDelivery.objects.filter(pk__in=[row.pk for row in bundle]).update(
                state=State.SENDING, claim=channel.claim, message=number, attempts=F("attempts") + 1
            )
    return _spawn(channel, [(_key(bundle), _message(bundle)) for bundle in bundles])


def _spawn(channel: NotificationChannel, messages: Sequence[tuple[str, Message]]) -> bool:
    """Hand the messages to a child. A failure here is settled like a child that says nothing, when its time is over."""
    try:
        if why := channel_refusal(channel.kind, channel.host, channel.shown.get("port", 443)):
            # The list may have become shorter after two people agreed on the channel.
            child_refused(_answers(channel.claim), messages=len(messages), error=why)
            return False
        child_start(
            {
                "kind": channel.kind,
                "host": channel.host,
                "shown": channel.shown,
                "secret": json.loads(secret_open(bytes(channel.sealed))),
                "private": channel.host in settings.NOTIFY_PRIVATE_HOSTS,
                "proxy": settings.NOTIFY_PROXY,
                "deadline_s": DEADLINE_S,
                "messages": [
                    {"key": key, "title": m.title, "body": m.body, "severity": m.severity.value}
                    for key, m in messages
                ],
            },
            answers=_answers(channel.claim),
            root=settings.BASE_DIR,
        )
    except (OSError, ApplicationError, ValueError) as error:
        # What cannot be read may hold the secret: of that only the kind is told.
        said = type(error).__name__ if isinstance(error, ValueError) else str(error)[:200]
        log.error("notifier_not_started", channel=channel.name, error=said)
        return False
    return True


def deliveries_collect() -> int:
    """Read what the children have said, and write down what became of each delivery. Returns how many were settled."""
    under_way = NotificationChannel.objects.exclude(claim="").values_list("pk", flat=True)
    return sum(_collect(pk) for pk in under_way)


@transaction.atomic
def _collect(pk: int) -> int:
    channel = (
        NotificationChannel.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(pk=pk)
        .exclude(claim="")
        .first()
    )
    if channel is None:
        return 0
    claim, moment = channel.claim, now()
    rows = list(channel.deliveries.filter(claim=claim, state=State.SENDING).order_by("id"))
    outcomes = child_outcomes(_answers(claim))
    overdue = channel.claimed_until is None or channel.claimed_until <= moment
    if not overdue and any(row.message not in outcomes for row in rows):
        return 0
    silent = f"no answer within {DEADLINE_S} s"
    failed = False
    for row in rows:
        outcome = outcomes.get(row.message if row.message is not None else -1)
        if outcome is not None and outcome.sent:
            _sent(channel, row, outcome)
        else:
            failed = True
            _not_sent(channel, row, outcome.error if outcome is not None else silent)
    if failed:
        channel.failures += 1
        wait = retry_after_s(channel.failures, jitter=random.random())
        if any(row.severity == Severity.critical and row.state == State.WAITING for row in rows):
            wait = min(wait, CRITICAL_S)
        channel.retry_at = moment + timedelta(seconds=wait)
        channel.last_error = next((row.error for row in rows if row.error), "")
        log.warning(
            "notifications_not_sent", channel=channel.name, error=channel.last_error, retry_s=round(wait)
        )
    else:
        channel.failures, channel.retry_at, channel.last_error = 0, None, ""
    if any(row.state == State.SENT for row in rows):
        channel.last_sent_at = moment
    channel.claim, channel.claimed_until = "", None
    channel.save(
        update_fields=[
            *("failures", "retry_at", "last_error", "last_sent_at"),
            *("claim", "claimed_until"),
        ]
    )
    _answers(claim).unlink(missing_ok=True)
    return len(rows)


def _sent(channel: NotificationChannel, row: NotificationDelivery, outcome: Outcome) -> None:
    row.state, row.sent_at, row.error, row.claim = State.SENT, outcome.at, "", ""
    row.save(update_fields=["state", "sent_at", "error", "claim"])
    NOTIFICATIONS.labels(channel=channel.name, result="sent").inc()
    NOTIFICATION_LAG.labels(channel=channel.name).observe(
        max(0.0, (outcome.at - row.event_at).total_seconds())
    )


def _not_sent(channel: NotificationChannel, row: NotificationDelivery, error: str) -> None:
    row.claim, row.error = "", error[:300]
    old = now() - row.created_at > timedelta(seconds=GIVE_UP_S)
    row.state = State.FAILED if old else State.WAITING
    row.save(update_fields=["state", "error", "claim"])
    NOTIFICATIONS.labels(channel=channel.name, result="given_up" if old else "retried").inc()
    if old:
        notice_deliver(_given_up(channel, row), happened_at=now(), except_channel=channel.pk)


def deliveries_prune() -> int:
    """Delete what the log need not keep any longer. Returns how many rows."""
    done = NotificationDelivery.objects.filter(
        state__in=(State.SENT, State.FAILED), created_at__lt=now() - KEEP
    )
    return done.delete()[0]


def _bundles(rows: Sequence[NotificationDelivery]) -> list[list[NotificationDelivery]]:
    """Which deliveries go into one message: each critical one alone, collected ones and bursts together."""
    alone = [row for row in rows if row.severity == Severity.critical or row.kind == "test"]
    rest = [row for row in rows if row not in alone]
    if len(alone) > MOST_MESSAGES - 1:
        alone, rest = [], list(rows)
    together = [row for row in rest if row.is_digest]
    single = [row for row in rest if not row.is_digest]
    if len(single) > BURST or len(alone) + len(single) > MOST_MESSAGES - 1:
        together, single = rest, []
    return [[row] for row in alone] + ([together] if together else []) + [[row] for row in single]


def _message(rows: Sequence[NotificationDelivery]) -> Message:
    lines = [_line(row) for row in rows]
    if len(lines) == 1:
        return single_message(lines[0], environment=settings.BINANCE_ENV)
    return digest_message(lines, environment=settings.BINANCE_ENV)


def _key(rows: Sequence[NotificationDelivery]) -> str:
    """The same for the same deliveries however often they are sent, so that a receiver can drop what comes twice."""
    parts = [settings.PUBLIC_URL, *(f"{row.pk}@{row.created_at.isoformat()}" for row in rows)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def _line(row: NotificationDelivery) -> Line:
    return Line(
        severity=Severity(row.severity),
        title=row.title,
        text=row.text,
        link=f"{settings.PUBLIC_URL}{row.link}" if row.link else "",
        at=f"{row.event_at:%Y-%m-%d %H:%M:%S}",
        repeats=row.before + row.repeats,
    )


def _given_up(channel: NotificationChannel, row: NotificationDelivery) -> Notice:
    return Notice(
        kind="notifications.failed",
        severity=Severity.warning,
        title=f"channel {channel.name} could not be told for a day",
        text=f"{row.title}: {row.error}",
        link="/notifications/",
        subject=f"notifications:failed:{channel.name}",
    )


def _answers(claim: str) -> Path:
    return Path(settings.NAUTILUS_HOME) / "notifications" / f"{claim}.jsonl"
