"""What the allocator asks people for: raises beyond its envelope, filed by itself, granted by two.

The machine is nobody: its request (`capital.endorse`) changes nothing. Whoever approves it makes it their own
(`capital.allocate`), and somebody else approves that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from governance.models import AllocationRun
from governance.selectors.capital import more_capital
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest, Role, User
from nautilus_site.common.services.appliers import applier_for
from nautilus_site.common.services.change_requests import (
    change_request_create,
    change_request_reject,
    fingerprint,
)
from trading.domain.values import decimal_text

log = structlog.get_logger(__name__)
ENDORSE, ALLOCATE = "capital.endorse", "capital.allocate"
MACHINE = "allocator"
LIFE = timedelta(hours=4)
REFUSED_FOR = timedelta(hours=24)
"""What a person turned down is not asked for again so soon, unless another policy is in force."""
NEARLY = Decimal("0.1")
"""A request that asks for this much more or less than what is proposed now is replaced."""


def raises_ask(run: AllocationRun) -> ChangeRequest | None:
    """Ask for what the run proposes, once. None where it proposes nothing, or it is asked for, or was turned down.

    Never lets a run fail: what cannot be asked for is logged, and proposed again by the next one.
    """
    wanted = {
        row.strategy: row.proposed
        for row in run.allocations.filter(proposed__isnull=False)
        if row.proposed is not None
    }
    try:
        with transaction.atomic():
            return _asked(run, wanted)
    except ApplicationError as error:
        log.warning("allocator_could_not_ask", run=run.pk, error=error.message)
        return None


def _asked(run: AllocationRun, wanted: Mapping[str, Decimal]) -> ChangeRequest | None:
    waiting = _pending(ENDORSE)
    # One that a person is deciding about is held by them, and they wait for the amounts this run holds: let them.
    free = ChangeRequest.objects.select_for_update(skip_locked=True, of=("self",), no_key=True).filter(
        pk__in=[request.pk for request in waiting], state=ChangeRequest.State.PENDING
    )
    if len(free) < len(waiting):
        return None
    for request in waiting:
        if wanted and _stands(request, wanted):
            return None
        change_request_reject(
            request_id=request.pk,
            approver=request.requester,
            note="the allocator proposes something else now",
        )
    if not wanted or _pending(ALLOCATE) or _turned_down(run, wanted):
        return None
    rows = list(run.allocations.filter(proposed__isnull=False).order_by("strategy"))
    return change_request_create(
        kind=ENDORSE,
        target=f"capital:run:{run.pk}",
        payload={"run": run.pk, "amounts": {name: decimal_text(wanted[name]) for name in sorted(wanted)}},
        diff={row.strategy: [decimal_text(row.amount), decimal_text(wanted[row.strategy])] for row in rows},
        reason=f"beyond the envelope of {run.version}: {run.explanation}"[:1000],
        requester=machine_user(),
        expires_in_s=round(LIFE.total_seconds()),
    )


def _pending(kind: str) -> list[ChangeRequest]:
    rows = ChangeRequest.objects.filter(kind=kind, state=ChangeRequest.State.PENDING, expires_at__gt=now())
    return list(rows.select_related("requester").order_by("created_at"))


def _stands(request: ChangeRequest, wanted: Mapping[str, Decimal]) -> bool:
    """Whether it still asks for about this, and would not be void."""
    asked = {name: Decimal(text) for name, text in request.payload["amounts"].items()}
    near = asked.keys() == wanted.keys() and all(
        abs(asked[name] - amount) <= NEARLY * amount for name, amount in wanted.items()
    )
    return near and fingerprint(applier_for(request.kind).snapshot(request.target)) == request.target_hash


def _turned_down(run: AllocationRun, wanted: Mapping[str, Decimal]) -> bool:
    """Whether people said no to the same strategies, under this policy, a short while ago."""
    by_people = Q(approver__isnull=False) | ~Q(requester__username=MACHINE)
    rows = ChangeRequest.objects.filter(
        by_people,
        kind__in=(ENDORSE, ALLOCATE),
        state=ChangeRequest.State.REJECTED,
        decided_at__gt=now() - REFUSED_FOR,
    )
    runs = {row.payload["run"]: set(row.payload["amounts"]) for row in rows.order_by("created_at")}
    same = AllocationRun.objects.filter(pk__in=list(runs), version=run.version).values_list("pk", flat=True)
    return any(runs[pk] >= wanted.keys() for pk in same)


def machine_user() -> User:
    """Who files for the allocator: a name nobody can log in with, and that can decide nothing."""
    user, created = User.objects.get_or_create(
        username=MACHINE, defaults={"role": Role.TRADER, "is_active": False, "is_staff": False}
    )
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def apply_endorsement(request: ChangeRequest, approver: User) -> None:
    """Make the machine's request the approver's own; nothing is granted. Runs inside the approving transaction.

    Raises
    ------
    Forbidden : ROLE_REQUIRED, the approver may not ask for capital.
    """
    left = round((request.expires_at - now()).total_seconds())
    change_request_create(
        kind=ALLOCATE,
        target=request.target,
        payload=request.payload,
        diff=request.diff,
        reason=f"the allocator asks: {request.reason}"[:1000],
        requester=approver,
        expires_in_s=max(left, 60),
    )


def endorsement_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What approving it does, and what the allocator said."""
    run = AllocationRun.objects.get(pk=payload["run"])
    reasons = {
        row.strategy: row.reason for row in run.allocations.filter(strategy__in=list(payload["amounts"]))
    }
    return {
        "what approving does": "files the same in your name; another person then grants it",
        **more_capital({name: Decimal(text) for name, text in payload["amounts"].items()}),
        "explanation": run.explanation,
        "reasons": reasons,
    }
