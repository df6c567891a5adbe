"""Groups of correlated symbols: adding a symbol is immediate, taking one out is a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import one_at_a_time
from trading.domain.values import normalise_symbol
from trading.models import CorrelationGroup
from universe.models import Instrument


@one_at_a_time
def group_change(
    *, name: str, symbols: Sequence[str], reason: str, actor: User
) -> CorrelationGroup | ChangeRequest:
    """Make a group, or change what belongs to it: at once where it only gains symbols, else as a request.

    Raises
    ------
    ApplicationError : INVALID_VALUE, UNKNOWN_SYMBOL, REASON_REQUIRED.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    wanted = group_clean(symbols)
    row = CorrelationGroup.objects.filter(name=name).first()
    before = sorted(row.symbols) if row else []
    if row is not None and wanted == before:
        raise Conflict("NO_CHANGE", "those are its symbols")
    if set(before) <= set(wanted):
        return _group_set(name, wanted, actor=actor, reason=reason)
    return change_request_create(
        kind="group.shrink",
        target=f"group:{name}",
        payload={"symbols": wanted},
        diff={"symbols": [before, wanted]},
        reason=reason,
        requester=actor,
    )


def group_clean(symbols: Sequence[str]) -> list[str]:
    """Symbols in the plain spelling, sorted, each once; every one is listed somewhere.

    Raises
    ------
    ApplicationError : INVALID_VALUE, UNKNOWN_SYMBOL.
    """
    if isinstance(symbols, str) or not all(isinstance(symbol, str) for symbol in symbols):
        raise ApplicationError("INVALID_VALUE", "expected a list of symbols")
    try:
        plain = sorted({normalise_symbol(symbol) for symbol in symbols})
    except ValueError as error:
        raise ApplicationError("UNKNOWN_SYMBOL", str(error)) from None
    known = set(Instrument.objects.filter(symbol__in=plain).values_list("symbol", flat=True))
    missing = [symbol for symbol in plain if symbol not in known]
    if missing:
        raise ApplicationError("UNKNOWN_SYMBOL", f"no venue lists {', '.join(missing)}")
    return plain


def group_snapshot(target: str) -> Mapping[str, Any]:
    """What must not change between the request and its approval."""
    return {"symbols": sorted(CorrelationGroup.objects.get(name=target.partition(":")[2]).symbols)}


def group_rows(target: str) -> Rows:
    """What that is read from."""
    return [CorrelationGroup.objects.filter(name=target.partition(":")[2])]


def apply_shrink(request: ChangeRequest, approver: User) -> None:
    """Set the group as approved; runs inside the approving transaction."""
    name = request.target.partition(":")[2]
    _group_set(name, list(request.payload["symbols"]), actor=approver, reason=request.reason)


@transaction.atomic
def _group_set(name: str, symbols: list[str], *, actor: User, reason: str) -> CorrelationGroup:
    # Orders of its symbols hold this row while they are judged: they see the old group or the new one, whole.
    row = CorrelationGroup.objects.select_for_update(no_key=True).filter(name=name).first()
    before = row.symbols if row else None
    row = row or CorrelationGroup(name=name)
    row.symbols, row.changed_by, row.changed_at = symbols, str(actor), now()
    row.full_clean()
    row.save()
    audit_record(
        action="group.changed",
        target=f"group:{name}",
        actor=actor,
        reason=reason,
        before=before,
        after=symbols,
    )
    publish("trading_state", {"group": name, "symbols": symbols})
    return row
