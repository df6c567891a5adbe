"""What waits to be sealed: an entry removed or put in beside the trail does not get lost in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from nautilus_site.common.models import AuditEntry, AuditSeal, UnsealedEntry
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal, audit_verify_tail
from nautilus_site.common.services.audit_proof import audit_verify
from nautilus_site.common.services.leases import Held, lease_acquire
from tests.factories.tampering import trail_unguarded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held() -> Held:
    taken = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert taken is not None
    return taken


def tamper(statement: str, *parameters: Any) -> None:
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def test_an_entry_removed_before_it_was_sealed_is_found_and_stays_found(held: Held) -> None:
    kept, removed = (audit_record(action="x", target=str(n), actor="test") for n in range(2))
    tamper("DELETE FROM common_auditentry WHERE id = %s", removed.pk)
    said = f"entry {removed.pk} was removed before it was sealed"
    assert (audit_verify().problem, audit_verify_tail()) == (said, False)
    sealed = audit_seal(held)
    assert sealed is not None
    assert sealed.entry_ids == [kept.pk]
    assert (audit_verify().problem, audit_verify_tail()) == (said, False)
    assert audit_seal(held) is None


def test_nothing_is_queued_but_by_the_trail_itself() -> None:
    entry = audit_record(action="x", target="x", actor="test")
    assert UnsealedEntry.objects.get().entry_id == entry.pk
    for statement in (
        "INSERT INTO common_unsealedentry VALUES (4711)",
        "UPDATE common_unsealedentry SET entry_id = 4711",
    ):
        with pytest.raises(DatabaseError, match="queued by the audit trail alone"), transaction.atomic():
            connection.cursor().execute(statement)


def test_a_second_sealing_does_not_make_room_for_an_entry_put_in_past_the_trail(held: Held) -> None:
    """By numbers alone the two would balance: one sealed twice, one never."""
    entry = audit_record(action="x", target="x", actor="test")
    assert audit_seal(held) is not None
    tamper("INSERT INTO common_unsealedentry VALUES (%s)", entry.pk)
    assert audit_seal(held) is not None
    assert audit_verify().problem == f"entry {entry.pk} is sealed or queued 2 times"
    tamper(
        "INSERT INTO common_auditentry (at, actor_name, action, target, reason, request_id)"
        " VALUES (now() - interval '30 days', 'x', 'x', 'x', '', '')"
    )
    assert AuditEntry.objects.count() == sum(len(seal.entry_ids) for seal in AuditSeal.objects.all())
    assert not audit_verify().ok
