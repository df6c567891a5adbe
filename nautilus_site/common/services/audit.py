"""Writing the audit trail. Call inside the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.requests import request_now
from nautilus_site.common.tables import Table

_ENTRIES = Table(AuditEntry)


@cache
def _insert_sql() -> str:
    return f"{_ENTRIES.insert_one} RETURNING id"


def audit_record(
    *,
    action: str,
    target: str,
    actor: User | str,
    reason: str = "",
    before: Any = None,
    after: Any = None,
) -> AuditEntry:
    """Insert one entry. `actor` is a person, or the name of the process that acted by itself."""
    entry = _entry(action, target, actor, reason=reason, before=before, after=after)
    with connection.cursor() as cursor:
        cursor.execute(_insert_sql(), _ENTRIES.row(entry))
        entry.pk, entry._state.adding = cursor.fetchone()[0], False
    return entry


@cache
def audit_clause() -> str:
    """`WITH` clause that inserts one entry with a statement of another table; its parameters: `audit_parameters`."""
    return f"audited AS ({_ENTRIES.insert_one})"


def audit_parameters(*, action: str, target: str, actor: User | str, after: Any = None) -> dict[str, Any]:
    """The parameters of `audit_clause` for one entry."""
    return _ENTRIES.row(_entry(action, target, actor, after=after))


def audit_record_each(*, action: str, targets: Iterable[str], actor: User | str) -> None:
    """Insert one entry for each target, in their order, by one statement."""
    entries = [_entry(action, target, actor) for target in targets]
    if entries:
        with connection.cursor() as cursor:
            cursor.execute(_ENTRIES.insert, _ENTRIES.parameters(entries))


def _entry(action: str, target: str, actor: User | str, **changes: Any) -> AuditEntry:
    person = actor if isinstance(actor, User) else None
    return AuditEntry(
        at=now(),
        actor=person,
        actor_name=person.username if person else str(actor),
        action=action,
        target=target,
        request_id=request_now(),
        **changes,
    )
