"""The power over the audit trail that only the owner of its tables can give himself: for tests that tamper with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

ALWAYS = {
    "common_auditentry": ("audit_entry_no_change", "audit_entry_no_truncate", "audit_entry_queue"),
    "common_auditseal": ("audit_seal_no_change", "audit_seal_no_truncate"),
    "common_unsealedentry": ("audit_queue_guard",),
}
REVOKED = ("common_auditentry", "common_auditseal")


def guards_off(tables: tuple[str, ...] = tuple(ALWAYS)) -> list[str]:
    """What takes the guards of the trail away, as SQL."""
    return [
        statement
        for table in tables
        for statement in (
            *([f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO CURRENT_USER"] if table in REVOKED else []),
            *(f"ALTER TABLE {table} DISABLE TRIGGER {name}" for name in ALWAYS[table]),
        )
    ]


def guards_on(tables: tuple[str, ...] = tuple(ALWAYS)) -> list[str]:
    """What puts them back as the migrations left them."""
    return [
        statement
        for table in tables
        for statement in (
            *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}" for name in ALWAYS[table]),
            *([f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM CURRENT_USER"] if table in REVOKED else []),
        )
    ]


def run(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        if connection.in_atomic_block:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def trail_unguarded() -> Iterator[None]:
    """The triggers of the trail are off and its owner may do all, for as long as the block lasts."""
    run(guards_off())
    try:
        yield
    finally:
        run(guards_on())
