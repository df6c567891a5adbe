"""Changing a playbook: acting earlier, longer or on more is one person's, at once; the other way takes two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from governance.domain.notices import SEVERITIES
from governance.domain.playbooks import (
    MOST_STEPS,
    PLAYBOOKS,
    Action,
    InvalidAction,
    Rule,
    Verb,
    actions_parse,
    steps_lost,
)
from governance.models import Playbook
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.turns import one_at_a_time
from trading.services.controls.limit_kinds import LIMITS

FIELDS = (
    *("is_armed", "threshold", "window_s", "confirm", "min_samples"),
    *("cooldown_s", "max_scopes", "blind_after", "severity", "actions"),
)
# Where less of it makes the playbook act earlier, or again sooner; of `max_scopes` more is the safe side.
_SAFER_LOWER = ("threshold", "confirm", "min_samples", "cooldown_s", "blind_after")


@one_at_a_time
def playbook_change(
    *, name: str, values: Mapping[str, Any], actor: User, reason: str, expires_in_s: int | None = None
) -> Playbook | ChangeRequest:
    """Change a playbook at once where every difference is on the safe side, else file a request.

    Raises
    ------
    NotFound : UNKNOWN_PLAYBOOK.  ApplicationError : INVALID_PLAYBOOK, REASON_REQUIRED.  Conflict : NO_CHANGE.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    row = playbook_get(name)
    changed = _clean(row, values)
    if not changed:
        raise Conflict("NO_CHANGE", "that is the playbook in force")
    if not any(_loosens(field, getattr(row, field), value) for field, value in changed.items()):
        return _store(row.pk, changed, actor=str(actor), person=actor, reason=reason)
    return change_request_create(
        kind="playbook.change",
        target=f"playbook:{name}",
        payload=changed,
        diff={field: [getattr(row, field), value] for field, value in changed.items()},
        reason=reason,
        requester=actor,
        expires_in_s=expires_in_s,
    )


def change_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a proposed change holds, whichever way it was proposed."""
    return _clean(playbook_get(target.partition(":")[2]), payload)


def change_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a request and its approval."""
    row = playbook_get(target.partition(":")[2])
    return {field: getattr(row, field) for field in FIELDS}


def change_rows(target: str) -> Rows:
    """What that is read from."""
    return [Playbook.objects.filter(name=target.partition(":")[2])]


def apply_change(request: ChangeRequest, approver: User) -> None:
    """Put the approved playbook in force; runs inside the approving transaction."""
    row = playbook_get(request.target.partition(":")[2])
    _store(
        row.pk,
        request.payload,
        actor=f"{request.requester} and {approver}",
        person=approver,
        reason=request.reason,
    )


def playbook_get(name: str) -> Playbook:
    """The row. Raises NotFound : UNKNOWN_PLAYBOOK."""
    row = Playbook.objects.filter(name=name).first()
    if row is None:
        raise NotFound("UNKNOWN_PLAYBOOK", f"no playbook is called {name!r}")
    return row


def _clean(row: Playbook, values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise ApplicationError("INVALID_PLAYBOOK", f"a playbook has no {', '.join(unknown)} to change")
    merged = {field: values.get(field, getattr(row, field)) for field in FIELDS}
    for field in ("threshold", "window_s", "cooldown_s"):
        merged[field] = _number(field, merged[field])
    for field in ("confirm", "min_samples", "max_scopes", "blind_after"):
        if (
            isinstance(merged[field], bool)
            or not isinstance(merged[field], int)
            or not 1 <= merged[field] <= 1000
        ):
            raise ApplicationError("INVALID_PLAYBOOK", f"{field}: expected a whole number of 1 to 1000")
    if not isinstance(merged["is_armed"], bool):
        raise ApplicationError("INVALID_PLAYBOOK", "is_armed: expected true or false")
    if merged["severity"] not in SEVERITIES:
        raise ApplicationError("INVALID_PLAYBOOK", f"severity: expected one of {', '.join(SEVERITIES)}")
    if not 1 <= merged["window_s"] <= 86_400:
        raise ApplicationError("INVALID_PLAYBOOK", "window_s: expected seconds of 1 to 86400")
    if {"min_samples", "window_s"} & set(values):
        _check_samples(row.name, merged)
    try:
        Rule(merged["threshold"], merged["confirm"], merged["min_samples"], merged["cooldown_s"])
        if not isinstance(merged["actions"], list):
            raise InvalidAction("actions: expected a list")
        steps = actions_parse(merged["actions"])
    except (InvalidAction, ValueError) as error:
        raise ApplicationError("INVALID_PLAYBOOK", str(error)) from None
    if "actions" in values:
        _check_steps(steps)
    merged["actions"] = [step.members() for step in steps]
    before = {field: getattr(row, field) for field in FIELDS}
    before["actions"] = [step.members() for step in actions_parse(row.actions)]
    return {field: merged[field] for field in FIELDS if field in values and merged[field] != before[field]}


def _check_steps(steps: Sequence[Action]) -> None:
    """Refuse what could not be taken. Asked of steps that are new: what stands already holds up no other change."""
    if len(steps) > MOST_STEPS:
        raise ApplicationError(
            "INVALID_PLAYBOOK", f"actions: expected at most {MOST_STEPS} steps, were {len(steps)}"
        )
    for step in steps:
        if step.verb is Verb.tighten and (step.limit not in LIMITS or not LIMITS[step.limit].is_of_orders):
            raise ApplicationError(
                "INVALID_PLAYBOOK", f"limit: no limit that orders are judged by is called {step.limit!r}"
            )


def _check_samples(name: str, merged: Mapping[str, Any]) -> None:
    """Refuse what no reading ever rests on: armed, and without a word, it would never act."""
    spec = PLAYBOOKS.get(name)
    most = spec.samples_within(merged["window_s"]) if spec is not None else None
    if most is not None and merged["min_samples"] > most:
        raise ApplicationError(
            "INVALID_PLAYBOOK",
            f"min_samples: a figure of {name} over {merged['window_s']:g} s rests on {most} at most, expected no more",
        )


def _number(field: str, value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ApplicationError("INVALID_PLAYBOOK", f"{field}: expected a number, was {value!r}")
    return number


def _loosens(field: str, before: Any, after: Any) -> bool:
    """Whether a difference makes the playbook act later, rarer, on less, or tell fewer people."""
    if field in _SAFER_LOWER:
        return bool(after > before)
    if field == "max_scopes":
        return bool(after < before)
    if field == "is_armed":
        return not after
    if field == "severity":
        return SEVERITIES.index(after) < SEVERITIES.index(before)
    if field == "actions":
        return bool(steps_lost(before, after))
    return True  # of a window neither way is the safe one


@transaction.atomic
def _store(pk: int, changed: Mapping[str, Any], *, actor: str, person: User, reason: str) -> Playbook:
    row = Playbook.objects.select_for_update(no_key=True).get(pk=pk)
    before = {field: getattr(row, field) for field in changed}
    for field, value in changed.items():
        setattr(row, field, value)
    row.changed_by, row.changed_at = actor, now()
    row.save(update_fields=[*changed, "changed_by", "changed_at"])
    audit_record(
        action="playbook.changed",
        target=f"playbook:{row.name}",
        actor=person,
        reason=reason,
        before=before,
        after=dict(changed),
    )
    return row
