"""Sending what is due: a child per channel, started and left alone; its answers are read by a later tick."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, Value, When

from governance.adapters.notify import DEADLINE_S, Outcome, child_outcomes, child_refused, child_start
from governance.domain.notices import (
    CRITICAL_S,
    GIVE_UP_S,
    PAUSE_S,
    Line,
    Message,
    Notice,
    Severity,
    digest_message,
    lines_that_fit,
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
# What is critical first, then what a person waits for: however much is due, neither stands behind the rest.
_URGENCY = Case(
    When(severity=Severity.critical.value, then=Value(0)),
    When(kind="test", then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


def deliveries_start() -> int:
    """Start a child for every channel that has something due and none under way. Returns how many were started."""
    channels = (
        NotificationDelivery.objects.filter(_due(now()))
        .filter(channel__is_enabled=True, channel__claim="")
        .values_list("channel_id", flat=True)
    )
    return sum(_start(pk) for pk in sorted(set(channels)))


def _due(moment: datetime) -> Q:
    return Q(Q(retry_at=None) | Q(retry_at__lte=moment), state=State.WAITING, due_at__lte=moment)


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
        due = channel.deliveries.select_for_update(skip_locked=True, no_key=True).filter(_due(moment))
        if channel.retry_at is not None and channel.retry_at > moment:
            # A receiver that was gone for hours may be back: a new critical notice does not wait for the pause.
            due = due.filter(severity=Severity.critical, attempts=0)
        rows = list(due.order_by(_URGENCY, "id")[:MOST_DELIVERIES])
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
    jitter, failed = random.random(), []  # one for all: what was one message is one again
    for row in rows:
        outcome = outcomes.get(row.message if row.message is not None else -1)
        if outcome is not None and outcome.sent:
            _sent(channel, row, outcome)
        else:
            failed.append(row)
            _not_sent(channel, row, outcome.error if outcome is not None else silent, jitter)
    if len(failed) < len(rows):
        _answered(channel, failed, moment)
    elif channel.failures or any(row.attempts == 1 for row in failed):
        # What it refused before while it took others says nothing of the receiver.
        _silent(channel, moment, jitter)
    channel.last_error = next((row.error for row in failed if row.error), "")
    if failed:
        log.warning(
            "notifications_not_sent", channel=channel.name, error=channel.last_error, rows=len(failed)
        )
    channel.claim, channel.claimed_until = "", None
    channel.save(
        update_fields=[
            *("failures", "retry_at", "last_error", "last_sent_at"),
            *("claim", "claimed_until"),
        ]
    )
    _answers(claim).unlink(missing_ok=True)
    return len(rows)


def _answered(channel: NotificationChannel, failed: Sequence[NotificationDelivery], moment: datetime) -> None:
    """It takes messages: the pause is over, also for those that failed while it took none."""
    if channel.failures:
        channel.deliveries.filter(state=State.WAITING).exclude(pk__in=[row.pk for row in failed]).update(
            retry_at=None
        )
    channel.failures, channel.retry_at, channel.last_sent_at = 0, None, moment


def _silent(channel: NotificationChannel, moment: datetime, jitter: float) -> None:
    """It took nothing of what it was told: new messages wait as well, though not for long."""
    channel.failures += 1
    grave = channel.deliveries.filter(state=State.WAITING, severity=Severity.critical.value).exists()
    wait = min(retry_after_s(channel.failures, jitter=jitter), CRITICAL_S if grave else PAUSE_S)
    channel.retry_at = moment + timedelta(seconds=wait)


def _sent(channel: NotificationChannel, row: NotificationDelivery, outcome: Outcome) -> None:
    row.state, row.sent_at, row.error, row.claim = State.SENT, outcome.at, "", ""
    row.save(update_fields=["state", "sent_at", "error", "claim"])
    NOTIFICATIONS.labels(channel=channel.name, result="sent").inc()
    NOTIFICATION_LAG.labels(channel=channel.name).observe(
        max(0.0, (outcome.at - row.event_at).total_seconds())
    )


def _not_sent(channel: NotificationChannel, row: NotificationDelivery, error: str, jitter: float) -> None:
    moment = now()
    row.claim, row.error = "", error[:300]
    # From when it was due: one that was held back by a mute or a digest was not tried in all that time.
    old = moment - row.due_at > timedelta(seconds=GIVE_UP_S)
    row.state = State.FAILED if old else State.WAITING
    wait = retry_after_s(max(row.attempts, 1), jitter=jitter)
    grave = row.severity == Severity.critical
    row.retry_at = moment + timedelta(seconds=min(wait, CRITICAL_S) if grave else wait)
    row.save(update_fields=["state", "error", "claim", "retry_at"])
    NOTIFICATIONS.labels(channel=channel.name, result="given_up" if old else "retried").inc()
    if old:
        notice_deliver(_given_up(channel, row), happened_at=moment, except_channel=channel.pk)


def deliveries_prune() -> int:
    """Delete what the log need not keep any longer. Returns how many rows."""
    done = NotificationDelivery.objects.filter(
        state__in=(State.SENT, State.FAILED), created_at__lt=now() - KEEP
    )
    return done.delete()[0]


def _bundles(rows: Sequence[NotificationDelivery]) -> list[list[NotificationDelivery]]:
    """Which deliveries go into one message: each critical one alone, collected ones and bursts together.

    The most urgent come first, since only so many are sent at once; the others wait for the next child.
    """
    alone = [row for row in rows if row.severity == Severity.critical or row.kind == "test"]
    rest = [row for row in rows if row not in alone]
    together = [row for row in rest if row.is_digest]
    single = [row for row in rest if not row.is_digest]
    if len(single) > BURST or len(alone) + len(single) > MOST_MESSAGES - 1:
        together, single = rest, []
    urgent = _digests(alone) if len(alone) > MOST_MESSAGES - 1 else [[row] for row in alone]
    return urgent + _digests(together) + [[row] for row in single]


def _digests(rows: Sequence[NotificationDelivery]) -> list[list[NotificationDelivery]]:
    """As few messages as hold all of them."""
    lines, digests = [_line(row) for row in rows], []
    while rows:
        fitting = lines_that_fit(lines)
        digests.append(list(rows[:fitting]))
        rows, lines = rows[fitting:], lines[fitting:]
    return digests


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
