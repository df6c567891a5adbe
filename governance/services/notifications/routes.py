"""Routes: telling more is one person's, at once; telling less takes a second one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction

from governance.domain.notices import (
    LONGEST_DEDUPE_S,
    LONGEST_DIGEST_S,
    SEVERITIES,
    Rule,
    at_least,
    route_for,
)
from governance.models import NotificationChannel, NotificationDelivery, NotificationRoute
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.turns import one_at_a_time

_KIND = re.compile(r"\*|[a-z][a-z0-9_]{0,30}(\.[a-z0-9_]{1,40})?(\.\*)?")
FIELDS = ("severity", "digest_s", "dedupe_s", "is_enabled")


@one_at_a_time
def route_set(
    *,
    channel: str,
    kind: str,
    values: Mapping[str, Any],
    actor: User,
    reason: str,
    expires_in_s: int | None = None,
) -> NotificationRoute | ChangeRequest:
    """Make or change the route of a kind. Fields left out stay, or take their defaults in a new route.

    Raises
    ------
    ApplicationError : INVALID_ROUTE; REASON_REQUIRED; NotFound : UNKNOWN_CHANNEL; Conflict : NO_CHANGE.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    target = f"route:{channel}:{kind}"
    wanted = route_clean(target, values)
    row = _row(channel, kind)
    if row is not None and all(getattr(row, name) == wanted[name] for name in FIELDS):
        raise Conflict("NO_CHANGE", "that is the route in force")
    if not _tells_less(channel, kind, row, wanted):
        return _store(channel, kind, wanted, actor=str(actor), person=actor, reason=reason)
    before = {name: getattr(row, name) for name in FIELDS} if row is not None else {}
    return change_request_create(
        kind="notification.route",
        target=target,
        payload=wanted,
        diff={name: [before.get(name), value] for name, value in wanted.items() if before.get(name) != value},
        reason=reason,
        requester=actor,
        expires_in_s=expires_in_s,
    )


def route_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The whole route a payload asks for, checked, whichever way it was proposed."""
    channel, kind = _names(target)
    if not NotificationChannel.objects.filter(name=channel).exists():
        raise NotFound("UNKNOWN_CHANNEL", f"no channel is called {channel!r}")
    if _KIND.fullmatch(kind) is None:
        raise ApplicationError(
            "INVALID_ROUTE", f"kind: expected *, a kind such as breaker.drawdown, or breaker.*, was {kind!r}"
        )
    unknown = sorted(set(payload) - set(FIELDS))
    if unknown:
        raise ApplicationError("INVALID_ROUTE", f"a route has no {', '.join(unknown)}")
    row = _row(channel, kind)
    base = {name: getattr(row, name) for name in FIELDS} if row is not None else _defaults()
    wanted = {**base, **payload}
    if wanted["severity"] not in SEVERITIES:
        raise ApplicationError("INVALID_ROUTE", f"severity: expected one of {', '.join(SEVERITIES)}")
    for name, most in (("digest_s", LONGEST_DIGEST_S), ("dedupe_s", LONGEST_DEDUPE_S)):
        value = wanted[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise ApplicationError("INVALID_ROUTE", f"{name}: expected whole seconds of 0 to {most}")
    if not isinstance(wanted["is_enabled"], bool):
        raise ApplicationError("INVALID_ROUTE", "is_enabled: expected true or false")
    return wanted


def route_snapshot(target: str) -> dict[str, Any]:
    """What must not change between the request of a route and its approval: the channel's routes."""
    rows = NotificationRoute.objects.filter(channel__name=_names(target)[0]).order_by("kind")
    return {row.kind: [getattr(row, name) for name in FIELDS] for row in rows}


def route_rows(target: str) -> Rows:
    """The channel, which whoever changes a route holds, and its routes."""
    name = _names(target)[0]
    return [
        NotificationChannel.objects.filter(name=name),
        NotificationRoute.objects.filter(channel__name=name),
    ]


def route_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Of what the channel was told in the last week under this route, how much it would not have been."""
    channel, kind = _names(target)
    told = NotificationDelivery.objects.filter(
        channel__name=channel, created_at__gt=now() - timedelta(days=7)
    ).exclude(kind="test")
    # A narrower route of the channel goes on deciding for its own kinds.
    others = NotificationRoute.objects.filter(channel__name=channel).exclude(kind=kind)
    rules = [Rule(0, kind, ""), *(Rule(row.pk, row.kind, row.severity) for row in others)]
    covered = [row for row in told.values_list("kind", "severity") if route_for(row[0], rules) is rules[0]]
    untold = [
        severity
        for _, severity in covered
        if not payload["is_enabled"] or not at_least(severity, payload["severity"])
    ]
    return {
        "told_last_7_days": len(covered),
        "it_would_not_have_told": len(untold),
        "of_them_critical": untold.count("critical"),
    }


def apply_route(request: ChangeRequest, approver: User) -> None:
    """Put the route in force as approved; runs inside the approving transaction."""
    channel, kind = _names(request.target)
    _store(
        channel,
        kind,
        request.payload,
        actor=f"{request.requester} and {approver}",
        person=approver,
        reason=request.reason,
    )


def _tells_less(channel: str, kind: str, row: NotificationRoute | None, wanted: Mapping[str, Any]) -> bool:
    """Whether some notice would be told later, rarer or not at all."""
    before = row or _covering(channel, kind)
    if before is None or not before.is_enabled:
        return False  # nothing of it was told so far
    if not wanted["is_enabled"]:
        return True
    return (
        not at_least(before.severity, wanted["severity"])
        or wanted["digest_s"] > before.digest_s
        or wanted["dedupe_s"] > before.dedupe_s
    )


def _covering(channel: str, kind: str) -> NotificationRoute | None:
    rows = {row.pk: row for row in NotificationRoute.objects.filter(channel__name=channel).exclude(kind=kind)}
    rule = route_for(kind.removesuffix(".*"), [Rule(row.pk, row.kind, row.severity) for row in rows.values()])
    return rows[rule.key] if rule is not None else None


@transaction.atomic
def _store(
    channel: str, kind: str, wanted: Mapping[str, Any], *, actor: str, person: User, reason: str
) -> NotificationRoute:
    owner = NotificationChannel.objects.select_for_update(no_key=True).get(name=channel)
    row = owner.routes.filter(kind=kind).first() or NotificationRoute(channel=owner, kind=kind)
    before = {name: getattr(row, name) for name in FIELDS} if row.pk else None
    for name in FIELDS:
        setattr(row, name, wanted[name])
    row.changed_by, row.changed_at = actor, now()
    row.save()
    audit_record(
        action="notification.route_changed",
        target=f"route:{channel}:{kind}",
        actor=person,
        reason=reason,
        before=before,
        after=dict(wanted),
    )
    return row


def _row(channel: str, kind: str) -> NotificationRoute | None:
    return NotificationRoute.objects.filter(channel__name=channel, kind=kind).first()


def _names(target: str) -> tuple[str, str]:
    parts = target.split(":", 2)
    if len(parts) != 3 or parts[0] != "route":
        raise ApplicationError("INVALID_ROUTE", f"expected route:CHANNEL:KIND, was {target!r}")
    return parts[1], parts[2]


def _defaults() -> dict[str, Any]:
    return {"severity": "warning", "digest_s": 0, "dedupe_s": 300, "is_enabled": True}
