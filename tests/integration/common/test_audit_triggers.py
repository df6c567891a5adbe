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
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(reason="rewritten")
    entry.refresh_from_db()
    assert entry.reason == ""


def test_an_entry_cannot_be_saved_again(entry: AuditEntry) -> None:
    entry.reason = "rewritten"
    with pytest.raises(ProgrammingError, match="UPDATE on common_auditentry refused"), transaction.atomic():
        entry.save()


def test_an_entry_cannot_be_deleted(entry: AuditEntry) -> None:
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        entry.delete()
    assert AuditEntry.objects.filter(pk=entry.pk).exists()


@pytest.mark.parametrize("table", ["common_auditentry", "common_auditseal"])
def test_the_tables_cannot_be_truncated(table: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="TRUNCATE on"),
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
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        AuditSeal.objects.filter(pk=seal.pk).update(hash="2" * 64)
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        AuditSeal.objects.filter(pk=seal.pk).delete()


def test_every_entry_waits_to_be_sealed(entry: AuditEntry) -> None:
    assert UnsealedEntry.objects.filter(entry_id=entry.pk).exists()
