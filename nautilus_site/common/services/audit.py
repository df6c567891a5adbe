"""Writing the audit trail. Call inside the transaction of the change itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import structlog
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, User
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
    person = actor if isinstance(actor, User) else None
    context = structlog.contextvars.get_contextvars()
    entry = AuditEntry(
        at=now(),
        actor=person,
        actor_name=person.username if person else str(actor),
        action=action,
        target=target,
        reason=reason,
        before=before,
        after=after,
        request_id=str(context.get("request_id", "")),
    )
    with connection.cursor() as cursor:
        cursor.execute(_insert_sql(), _ENTRIES.row(entry))
        entry.pk, entry._state.adding = cursor.fetchone()[0], False
    return entry
