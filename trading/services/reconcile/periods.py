"""How often each sweep runs: the defaults, the rows that say otherwise, and who may change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.turns import one_at_a_time
from trading.domain.sweeps import PERIODS_S, Sweep
from trading.models import SweepPeriod

BOUNDS_S: Final[Mapping[Sweep, tuple[float, float]]] = {
    Sweep.OPEN_ORDERS: (2, 60),
    Sweep.TRADES: (5, 60),
    Sweep.DEEP: (60, 86_400),
}
"""What may be changed, and how far: an account not reconciled for 60 s may open nothing anyway."""


def sweep_periods() -> dict[Sweep, float]:
    """Seconds between two sweeps of a kind, as in force."""
    rows = dict(SweepPeriod.objects.values_list("sweep", "every_s"))
    return {sweep: float(rows.get(sweep.value, default)) for sweep, default in PERIODS_S.items()}


@one_at_a_time
def sweep_period_change(
    *, sweep: str, every_s: float, actor: User, reason: str
) -> SweepPeriod | ChangeRequest:
    """Look more often at once; looking less often needs a second person.

    Raises
    ------
    ApplicationError : INVALID_PERIOD, REASON_REQUIRED.  Conflict : NO_CHANGE.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    chosen, wanted = _checked(sweep, every_s)
    before = sweep_periods()[chosen]
    if wanted == before:
        raise Conflict("NO_CHANGE", "that is the period in force")
    if wanted > before:
        return change_request_create(
            kind="reconcile.period",
            target=f"sweep:{chosen}",
            payload={"every_s": wanted},
            reason=reason,
            requester=actor,
        )
    return _apply(chosen, wanted, actor, reason)


def period_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a proposed period holds, whichever way it was proposed."""
    if set(payload) != {"every_s"}:
        raise ApplicationError("INVALID_PERIOD", "a period has every_s and nothing else")
    return {"every_s": _checked(target.partition(":")[2], payload["every_s"])[1]}


def period_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a period's request and its approval."""
    return {"every_s": sweep_periods()[_sweep(target.partition(":")[2])]}


def period_rows(target: str) -> Rows:
    """What that is read from."""
    return [SweepPeriod.objects.filter(sweep=target.partition(":")[2])]


def apply_period(request: ChangeRequest, approver: User) -> None:
    """Put the approved period in force; runs inside the approving transaction."""
    _apply(_sweep(request.target.partition(":")[2]), request.payload["every_s"], approver, request.reason)


@transaction.atomic
def _apply(sweep: Sweep, every_s: float, actor: User, reason: str) -> SweepPeriod:
    SweepPeriod.objects.get_or_create(sweep=sweep.value, defaults={"every_s": PERIODS_S[sweep]})
    row = SweepPeriod.objects.select_for_update(no_key=True).get(sweep=sweep.value)
    before, row.every_s = row.every_s, every_s
    row.save(update_fields=["every_s"])
    audit_record(
        action="reconcile.period_changed",
        target=f"sweep:{sweep}",
        actor=actor,
        reason=reason,
        before={"every_s": before},
        after={"every_s": every_s},
    )
    return row


def _sweep(name: str) -> Sweep:
    if name not in {str(sweep) for sweep in BOUNDS_S}:
        raise ApplicationError(
            "INVALID_PERIOD", f"{name!r} has no period of its own: {', '.join(BOUNDS_S)} have"
        )
    return Sweep(name)


def _checked(name: str, every_s: Any) -> tuple[Sweep, float]:
    sweep = _sweep(name)
    low, high = BOUNDS_S[sweep]
    try:
        wanted = float(every_s)
    except (TypeError, ValueError):
        raise ApplicationError("INVALID_PERIOD", f"expected seconds, was {every_s!r}") from None
    if not low <= wanted <= high:  # refuses NaN as well
        raise ApplicationError("INVALID_PERIOD", f"{sweep} runs every {low:g} to {high:g} s, not {every_s}")
    return sweep, wanted
