"""Channels. A new address, or none any more, takes a second person; testing, muting for a while and enabling do not."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from governance.domain.receivers import InvalidReceiver, receiver_parse, receiver_refusal
from governance.models import NotificationChannel, NotificationDelivery, NotificationRoute
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from trading.services.credentials import secret_seal

LONGEST_MUTE_MIN = 24 * 60
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def channel_propose(
    *,
    name: str,
    kind: str,
    members: Mapping[str, Any],
    requester: User,
    reason: str,
    expires_in_s: int | None = None,
) -> ChangeRequest:
    """Ask for a channel, or for another address of one. What is secret is sealed before anything is stored.

    Raises
    ------
    ApplicationError : INVALID_CHANNEL; REASON_REQUIRED.
    """
    if _NAME.fullmatch(name) is None:
        raise ApplicationError(
            "INVALID_CHANNEL", "name: expected lower-case letters, digits and dashes, 40 at most"
        )
    try:
        receiver = receiver_parse(kind, members, private_hosts=settings.NOTIFY_PRIVATE_HOSTS)
    except InvalidReceiver as error:
        raise ApplicationError("INVALID_CHANNEL", str(error)) from None
    if refused := channel_refusal(receiver.kind, receiver.host, receiver.port):
        raise ApplicationError("INVALID_CHANNEL", refused)
    known = NotificationChannel.objects.filter(name=name).first()
    if known is not None and known.kind != receiver.kind:
        raise Conflict("CHANNEL_EXISTS", f"{name} is a channel of kind {known.kind} already")
    sealed = secret_seal(json.dumps(dict(receiver.secret)))
    shown = dict(receiver.shown)
    before = {"host": known.host, **known.shown} if known is not None else {}
    return change_request_create(
        kind="notification.channel",
        target=f"channel:{name}",
        payload={
            "kind": receiver.kind.value,
            "host": receiver.host,
            "shown": shown,
            "sealed": base64.b64encode(sealed).decode(),
        },
        diff={
            "kind": [known.kind if known is not None else None, receiver.kind.value],
            **{n: [before.get(n), value] for n, value in {"host": receiver.host, **shown}.items()},
            "secret": ["kept" if known is not None else None, "replaced"],
        },
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def channel_refusal(kind: str, host: str, port: int) -> str:
    """Why this deployment lets no channel lead there; empty if it does."""
    return receiver_refusal(
        kind,
        host,
        port,
        hosts=settings.NOTIFY_HOSTS,
        private_hosts=settings.NOTIFY_PRIVATE_HOSTS,
        ports=settings.NOTIFY_PORTS,
    )


def channel_snapshot(target: str) -> dict[str, Any]:
    """What must not change between the request of a channel and its approval."""
    row = NotificationChannel.objects.filter(name=target.partition(":")[2]).first()
    if row is None:
        return {}
    digest = hashlib.sha256(bytes(row.sealed)).hexdigest()
    return {"host": row.host, "shown": row.shown, "secret": digest, "is_enabled": row.is_enabled}


def channel_rows(target: str) -> Rows:
    """What the snapshots of `channel:NAME` are read from."""
    return [NotificationChannel.objects.filter(name=target.partition(":")[2])]


def channel_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Where messages would go, and what of the last week the channel was told or would have been."""
    row = NotificationChannel.objects.filter(name=target.partition(":")[2]).first()
    week = NotificationDelivery.objects.filter(event_at__gt=now() - timedelta(days=7))
    if row is not None:
        return {"goes_to": payload["host"], "told_it_in_the_last_7_days": week.filter(channel=row).count()}
    told = (
        week.exclude(severity__in=("info", "success")).values("kind", "title", "event_at").distinct().count()
    )
    return {"goes_to": payload["host"], "begins_with": "every warning", "warnings_in_the_last_7_days": told}


def apply_channel(request: ChangeRequest, approver: User) -> None:
    """Put the channel in force as approved; a new one gets a route for every warning."""
    payload, name = request.payload, request.target.partition(":")[2]
    row, created = NotificationChannel.objects.update_or_create(
        name=name,
        defaults={
            "kind": payload["kind"],
            "host": payload["host"],
            "shown": payload["shown"],
            "sealed": base64.b64decode(payload["sealed"]),
            "is_enabled": True,
            "failures": 0,
            "retry_at": None,
            "last_error": "",
            "created_by": f"{request.requester} and {approver}",
            "changed_at": now(),
        },
    )
    # What the old address did not take may go to the new one now.
    row.deliveries.filter(state=NotificationDelivery.State.WAITING).update(retry_at=None)
    if created:
        NotificationRoute.objects.create(
            channel=row,
            kind="*",
            severity="warning",
            changed_by=f"{request.requester} and {approver}",
            changed_at=now(),
        )


def channel_disable_request(
    *, name: str, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for a channel to be silenced for good: alarms reach fewer people, so it takes two."""
    row = _channel(name)
    if not row.is_enabled:
        raise Conflict("CHANNEL_DISABLED", f"{name} is disabled already")
    return change_request_create(
        kind="notification.channel_off",
        target=f"channel:{name}",
        payload={"is_enabled": False},
        diff={"is_enabled": [True, False]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def channel_off_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a request to disable and its approval."""
    return {"is_enabled": _channel(target.partition(":")[2]).is_enabled}


def channel_off_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the channel was told in the last week, and which other channels are left."""
    row = _channel(target.partition(":")[2])
    told = row.deliveries.filter(created_at__gt=now() - timedelta(days=7), state="sent").exclude(kind="test")
    others = NotificationChannel.objects.filter(is_enabled=True).exclude(pk=row.pk).order_by("name")
    return {
        "told_last_7_days": told.count(),
        "of_them_critical": told.filter(severity="critical").count(),
        "channels_left": list(others.values_list("name", flat=True)) or "none: nobody would be told",
    }


def apply_channel_off(request: ChangeRequest, approver: User) -> None:
    """Disable as approved; what waits for it is given up. Inside the approving transaction."""
    row = _locked(request.target.partition(":")[2])
    row.is_enabled, row.changed_at = False, now()
    row.save(update_fields=["is_enabled", "changed_at"])
    row.deliveries.filter(state=NotificationDelivery.State.WAITING).update(
        state=NotificationDelivery.State.FAILED, error="the channel was disabled"
    )


@transaction.atomic
def channel_enable(*, name: str, actor: User, reason: str) -> NotificationChannel:
    """Let a disabled channel tell again, to the address two people agreed on. At once."""
    _reasoned(reason)
    row = _locked(name)
    if row.is_enabled:
        raise Conflict("CHANNEL_ENABLED", f"{name} is enabled already")
    row.is_enabled, row.changed_at = True, now()
    row.failures, row.retry_at = 0, None
    row.save(update_fields=["is_enabled", "changed_at", "failures", "retry_at"])
    audit_record(action="notification.channel_enabled", target=f"channel:{name}", actor=actor, reason=reason)
    return row


@transaction.atomic
def channel_mute(*, name: str, minutes: int, actor: User, reason: str) -> NotificationChannel:
    """Hold back what is not critical for some minutes, 0 ends it; what was held is told in one message afterwards.

    Raises
    ------
    ApplicationError : INVALID_MUTE, longer than a day; REASON_REQUIRED.
    """
    _reasoned(reason)
    if not 0 <= minutes <= LONGEST_MUTE_MIN:
        raise ApplicationError(
            "INVALID_MUTE",
            f"minutes: expected 0 to {LONGEST_MUTE_MIN}; to silence a channel for good, ask for it to be disabled",
        )
    row = _locked(name)
    before, moment = row.muted_until, now()
    row.muted_until = moment + timedelta(minutes=minutes) if minutes else None
    row.save(update_fields=["muted_until"])
    until = row.muted_until or moment
    row.deliveries.filter(state=NotificationDelivery.State.WAITING, is_digest=True, attempts=0).exclude(
        severity="critical"
    ).update(due_at=until)
    audit_record(
        action="notification.muted" if minutes else "notification.unmuted",
        target=f"channel:{name}",
        actor=actor,
        reason=reason,
        before=_iso(before),
        after=_iso(row.muted_until),
    )
    return row


@transaction.atomic
def channel_test(*, name: str, actor: User) -> NotificationDelivery:
    """Queue one message that says it is a test; a worker sends it, because only a worker can open the address."""
    row, moment = _channel(name), now()
    if not row.is_enabled:
        raise Conflict("CHANNEL_DISABLED", f"{name} is disabled")
    delivery = NotificationDelivery.objects.create(
        channel=row,
        kind="test",
        severity="info",
        title=f"a test asked for by {actor.username}",
        text="If you can read this, the channel works.",
        link="/notifications/",
        event_at=moment,
        created_at=moment,
        due_at=moment,
    )
    # A person waits for it: not for the end of a pause after failures.
    NotificationChannel.objects.filter(pk=row.pk).update(retry_at=None)
    audit_record(action="notification.test", target=f"channel:{name}", actor=actor)
    return delivery


def _channel(name: str) -> NotificationChannel:
    row = NotificationChannel.objects.filter(name=name).first()
    if row is None:
        raise NotFound("UNKNOWN_CHANNEL", f"no channel is called {name!r}")
    return row


def _locked(name: str) -> NotificationChannel:
    row = NotificationChannel.objects.select_for_update(no_key=True).filter(name=name).first()
    if row is None:
        raise NotFound("UNKNOWN_CHANNEL", f"no channel is called {name!r}")
    return row


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
