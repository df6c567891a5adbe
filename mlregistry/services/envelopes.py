"""The envelope of what may happen to a family by itself: widened by two people, closed by one, at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from mlregistry.domain.envelope import LONGEST_DAYS, Envelope, envelope_read
from mlregistry.models import ModelFamily
from mlregistry.services.canaries import canary_rules
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish


def family_get(name: str) -> ModelFamily:
    """A family by its name.

    Raises
    ------
    NotFound : UNKNOWN_MODEL.
    """
    found = ModelFamily.objects.filter(name=name).first()
    if found is None:
        raise NotFound("UNKNOWN_MODEL", f"no family of models is called {name!r}")
    return found


def envelope_clean(members: Mapping[str, Any]) -> Envelope:
    """Check what somebody wants to be possible.

    Raises
    ------
    ApplicationError : INVALID_ENVELOPE; INVALID_CANARY for its canaries' rules.
    """
    try:
        envelope = replace(envelope_read({**members, "approval": ""}))
    except (ValueError, TypeError) as error:
        raise ApplicationError("INVALID_ENVELOPE", str(error)) from None
    end = envelope.until_at
    if end is not None and not now() < end <= now() + timedelta(days=LONGEST_DAYS):
        raise ApplicationError("INVALID_ENVELOPE", f"until: expected within the next {LONGEST_DAYS} days")
    canary_rules(dict(envelope.rules or {}))
    return envelope


def envelope_request(
    *, family: ModelFamily, envelope: Mapping[str, Any], reason: str, requester: User
) -> ChangeRequest:
    """Ask for an envelope; it replaces the present one when somebody else approves.

    Raises
    ------
    ApplicationError : as `envelope_clean`.
    """
    return change_request_create(
        kind="model.envelope",
        target=f"family:{family.name}",
        payload=envelope_clean(envelope).members(),
        reason=reason,
        requester=requester,
    )


@transaction.atomic
def envelope_close(*, family: ModelFamily, actor: User | str, reason: str) -> ModelFamily:
    """Let nothing be promoted or trained by itself any more, at once; what is in force stays.

    Raises
    ------
    ApplicationError : REASON_REQUIRED.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    locked = ModelFamily.objects.select_for_update(no_key=True).get(pk=family.pk)
    before = envelope_read(locked.envelope)
    after = replace(before, canary=False, champion=False, refit_days=0.0, until="")
    _write(locked, after, actor=actor, reason=reason)
    return locked


def envelope_snapshot(target: str) -> dict[str, Any]:
    """The envelope a request was made against."""
    return envelope_read(family_get(target.partition(":")[2]).envelope).members()


def envelope_rows(target: str) -> Rows:
    """What that is read from."""
    return [ModelFamily.objects.filter(name=target.partition(":")[2])]


def apply_envelope(request: ChangeRequest, approver: User) -> None:
    """Put the envelope in force as approved; runs inside the approving transaction."""
    family = ModelFamily.objects.select_for_update(no_key=True).get(
        pk=family_get(request.target.partition(":")[2]).pk
    )
    envelope = replace(envelope_clean(request.payload), approval=str(request.pk))
    _write(family, envelope, actor=f"{request.requester} and {approver}", reason=request.reason)


def _write(family: ModelFamily, envelope: Envelope, *, actor: User | str, reason: str) -> None:
    before, family.envelope = family.envelope, envelope.members()
    family.save(update_fields=["envelope"])
    audit_record(
        action="model.envelope_changed",
        target=f"family:{family.name}",
        actor=actor,
        reason=reason,
        before=before,
        after=family.envelope,
    )
    publish("models", {"family": family.name, "envelope": family.envelope})
