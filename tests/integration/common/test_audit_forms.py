"""What a seal's digest covers, and that what was sealed in the first form still verifies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, AuditSeal, UnsealedEntry
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal, audit_verify_tail
from nautilus_site.common.services.audit_digests import FIRST_FORM, GENESIS, entry_digests, seal_digest
from nautilus_site.common.services.audit_proof import audit_verify
from nautilus_site.common.services.leases import Held, lease_acquire
from tests.factories.tampering import trail_unguarded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held() -> Held:
    taken = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert taken is not None
    return taken


@pytest.fixture
def seal(held: Held) -> Callable[[], AuditSeal]:
    def made() -> AuditSeal:
        sealed = audit_seal(held)
        assert sealed is not None
        return sealed

    return made


def tamper(statement: str, *parameters: Any) -> None:
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def sealed_in_the_first_form(batches: int) -> None:
    """As an earlier version left them: JSON by its values, the time outside the digest."""
    for batch in range(batches):
        for n in range(2):
            audit_record(action="x", target=f"{batch}-{n}", actor="test", before=[n, 0.5], after={"v": None})
        ids = sorted(UnsealedEntry.objects.values_list("entry_id", flat=True))
        digests = [entry_digests(AuditEntry.objects.filter(pk=number), FIRST_FORM)[number] for number in ids]
        previous = AuditSeal.objects.order_by("-pk").values_list("hash", flat=True).first() or GENESIS
        moment = now()
        AuditSeal.objects.create(
            form=FIRST_FORM,
            entry_ids=ids,
            entry_hashes=digests,
            previous_hash=previous,
            hash=seal_digest(FIRST_FORM, previous, moment, ids, digests),
            sealed_at=moment,
        )
        UnsealedEntry.objects.all().delete()


@pytest.mark.parametrize(
    ("before", "edit"),
    [
        (0.1, "before = '0.10'"),
        (0.1, "before = '0.1000000000000000055'"),
        ({"v": 1}, "before = '{\"v\": 1.0}'"),
        (0.1, "after = 'null'"),
        (0.1, "before = NULL"),
    ],
)
def test_every_digit_of_a_value_counts_and_none_is_not_null(
    seal: Callable[[], AuditSeal], before: Any, edit: str
) -> None:
    entry = audit_record(action="limit.changed", target="limit:x", actor="test", before=before)
    seal()
    assert audit_verify().ok
    tamper(f"UPDATE common_auditentry SET {edit} WHERE id = %s", entry.pk)  # noqa: S608
    verdict = audit_verify()
    assert (verdict.ok, verdict.problem) == (False, f"entry {entry.pk} was changed")
    assert not audit_verify_tail()


@pytest.mark.parametrize("moved", ["- interval '400 days'", "+ interval '80 years'"])
def test_the_time_of_a_seal_cannot_be_moved(seal: Callable[[], AuditSeal], moved: str) -> None:
    audit_record(action="x", target="x", actor="test")
    number = seal().pk
    tamper(f"UPDATE common_auditseal SET sealed_at = sealed_at {moved} WHERE id = %s", number)  # noqa: S608
    assert audit_verify().problem == f"seal {number} was changed"
    assert not audit_verify_tail()


def test_what_an_earlier_version_sealed_still_verifies_and_an_edit_of_it_is_found(
    seal: Callable[[], AuditSeal],
) -> None:
    sealed_in_the_first_form(2)
    audit_record(action="x", target="after the upgrade", actor="test")
    assert seal().form == 2
    verdict = audit_verify()
    assert (verdict.ok, verdict.rows) == (True, 5)
    assert audit_verify_tail()
    victim = AuditEntry.objects.earliest("pk").pk
    tamper("UPDATE common_auditentry SET after = '{\"v\": 0}' WHERE id = %s", victim)
    assert audit_verify().first_bad_id == victim


def test_nobody_goes_back_to_the_first_form(seal: Callable[[], AuditSeal]) -> None:
    audit_record(action="x", target="x", actor="test")
    newest = seal()
    tamper("UPDATE common_auditseal SET form = 1 WHERE id = %s", newest.pk)
    assert audit_verify().problem == f"seal {newest.pk} was changed"
    tamper("UPDATE common_auditseal SET form = 2 WHERE id = %s", newest.pk)
    sealed_in_the_first_form(1)
    last = AuditSeal.objects.latest("pk").pk
    assert audit_verify().problem == f"seal {last} is of an older form than the one before it"
