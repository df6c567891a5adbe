"""The database itself keeps the audit trail append-only, also against its owner."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction

from nautilus_site.common.models import AuditEntry, AuditSeal, UnsealedEntry
from nautilus_site.common.services.audit import audit_record

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry() -> AuditEntry:
    return audit_record(action="limit.changed", target="limit:max", actor="test", before=1, after=2)


def test_an_entry_cannot_be_updated_even_by_the_owner_of_the_table(entry: AuditEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'common_auditentry'"
        )
        assert cursor.fetchone() == (True,)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(reason="rewritten")
    entry.refresh_from_db()
    assert entry.reason == ""


def test_an_entry_cannot_be_saved_again(entry: AuditEntry) -> None:
    entry.reason = "rewritten"
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        entry.save()


def test_an_entry_cannot_be_deleted(entry: AuditEntry) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        entry.delete()
    assert AuditEntry.objects.filter(pk=entry.pk).exists()


@pytest.mark.parametrize("table", ["common_auditentry", "common_auditseal"])
def test_the_tables_cannot_be_truncated(table: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"TRUNCATE {table} CASCADE")


def test_a_seal_cannot_be_changed_or_removed(entry: AuditEntry) -> None:
    seal = AuditSeal.objects.create(
        entry_ids=[entry.pk],
        entry_hashes=["2" * 64],
        previous_hash="0" * 64,
        hash="1" * 64,
        sealed_at=entry.at,
    )
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        AuditSeal.objects.filter(pk=seal.pk).update(hash="2" * 64)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        AuditSeal.objects.filter(pk=seal.pk).delete()


@pytest.mark.parametrize("replica", [False, True], ids=["ordinary session", "calls itself a replica"])
@pytest.mark.parametrize("table", ["common_auditentry", "common_auditseal"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_triggers_refuse_whoever_was_given_the_right(
    entry: AuditEntry, change: str, table: str, replica: bool
) -> None:
    """A superuser needs no right, and `session_replication_role` switches ordinary triggers off."""
    AuditSeal.objects.create(
        entry_ids=[entry.pk], entry_hashes=["2"], previous_hash="0", hash="1", sealed_at=entry.at
    )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO CURRENT_USER")
        if replica:
            cursor.execute("SET LOCAL session_replication_role = replica")
        refused = f"{change.split()[0]} on {table} refused"
        with pytest.raises(ProgrammingError, match=refused), transaction.atomic():
            cursor.execute(change.format(table))


def test_the_role_of_the_platform_is_no_superuser_and_no_replica() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == (False, False, False)


def test_what_is_copied_in_waits_to_be_sealed_like_all_else() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        names = "at, actor_name, action, target, reason, request_id"
        with cursor.copy(f"COPY common_auditentry ({names}) FROM STDIN") as copy:
            copy.write("2026-11-30T00:00:00+00:00\tsomebody\tx\ty\t\t\n")
        cursor.execute("SET LOCAL session_replication_role = origin")
    copied = AuditEntry.objects.get(actor_name="somebody")
    assert UnsealedEntry.objects.filter(entry_id=copied.pk).exists()


def test_every_entry_waits_to_be_sealed(entry: AuditEntry) -> None:
    assert UnsealedEntry.objects.filter(entry_id=entry.pk).exists()
