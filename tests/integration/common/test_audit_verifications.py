"""Verifying the whole trail as a job: pieces add up to the one verdict, one at a time, told while it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from governance.tasks import audit_verification_step
from nautilus_site.common.clock import now
from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.models import AuditEntry, AuditVerification, OutboxEvent, User
from nautilus_site.common.services import audit_verifications
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal
from nautilus_site.common.services.audit_verifications import verification_start, verification_step
from nautilus_site.common.services.leases import lease_acquire
from tests.factories.tampering import trail_unguarded

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
PATH = "/api/v1/audit/verifications"


@pytest.fixture
def trail(tmp_path: Path, settings: Any) -> AuditHead:
    """Twelve entries in four seals, their head noted where the platform looks for it."""
    settings.NAUTILUS_HOME = tmp_path
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    head = AuditHead(tmp_path / "audit")
    for batch in range(4):
        for n in range(3):
            audit_record(action="limit.changed", target=f"limit:{batch}-{n}", actor="test", after=n)
        seal = audit_seal(held)
        assert seal is not None
        head.note(seal)
    return head


def test_a_person_starts_it_workers_finish_it_and_the_api_tells(
    trail: AuditHead, risk_officer: User, token_client: Callable[..., APIClient], clean_cache: None
) -> None:
    api = token_client(risk_officer)
    begun = api.post(PATH)
    body = begun.json()
    assert (begun.status_code, body["state"], body["progress"]) == (202, "running", 0.0)
    assert api.post(PATH).json()["id"] == body["id"], "one at a time"
    audit_verification_step(verification_id=body["id"])
    done = api.get(f"{PATH}/{body['id']}").json()
    waiting = AuditEntry.objects.filter(pk__gt=0).count() - 12
    assert (done["state"], done["rows"], done["first_bad_id"], done["progress"]) == ("intact", 12, None, 1.0)
    # What the job itself and the token wrote waits to be sealed; its own verdict came after the look.
    assert done["unsealed"] == waiting - 1
    assert api.post(PATH).json()["id"] > body["id"]


def test_pieces_are_as_good_as_one_look_and_a_broken_entry_is_named(
    trail: AuditHead, risk_officer: User
) -> None:
    victim = AuditEntry.objects.order_by("pk")[7]
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", [victim.pk])
    row = verification_start(actor=risk_officer)
    seen = []
    calls = iter(range(1000))
    original = audit_verifications.audit_verify_piece

    def one_seal(checked: Any, heads: Any, *, accepted: Any, signed: Any, within: Any) -> Any:
        first = next(calls)
        # one step further all the same
        piece = original(checked, heads, accepted=accepted, signed=signed, within=lambda: False)
        return piece if first < 50 else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_verifications, "audit_verify_piece", one_seal)
        for _ in range(10):
            if verification_step(verification_id=row.pk) is None:
                break
            row.refresh_from_db()
            seen.append(row.rows)
    assert seen == [3, 6, 7]
    assert (row.state, row.first_bad_id, row.problem) == (
        "broken",
        victim.pk,
        f"entry {victim.pk} was changed",
    )
    assert AuditEntry.objects.filter(action="audit.found_broken").count() == 1
    told = OutboxEvent.objects.get(topic="incidents").data
    assert (told["kind"], told["severity"]) == ("audit_broken", "critical"), "people are called"


def test_a_missing_tail_is_found_through_the_head_file_in_the_last_piece(
    trail: AuditHead, risk_officer: User
) -> None:
    from nautilus_site.common.models import AuditSeal

    last = AuditSeal.objects.latest("pk")
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM common_auditentry WHERE id = ANY(%s)", [last.entry_ids])
        cursor.execute("DELETE FROM common_auditseal WHERE id = %s", [last.pk])
    row = verification_start(actor=risk_officer)
    verification_step(verification_id=row.pk)
    row.refresh_from_db()
    assert (row.state, row.problem) == ("broken", f"seal {last.pk} is noted in the head file and missing")


def test_one_whose_message_was_lost_is_sent_again_when_somebody_looks(
    trail: AuditHead, risk_officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(audit_verifications, "_hint", lambda row: sent.append(row.pk))
    row = verification_start(actor=risk_officer)
    assert sent == [row.pk]
    audit_verifications.verification_nudge(row)
    assert sent == [row.pk], "it was sent just now"
    AuditVerification.objects.update(requested_at=now() - timedelta(minutes=2))
    row.refresh_from_db()
    audit_verifications.verification_nudge(row)
    assert sent == [row.pk, row.pk]


def test_the_trail_is_verified_once_a_day_though_nobody_asks(trail: AuditHead) -> None:
    from governance.tasks import housekeeping

    housekeeping()
    housekeeping()
    row = AuditVerification.objects.get()
    assert row.requested_by is None
    audit_verification_step(verification_id=row.pk)
    row.refresh_from_db()
    assert row.state == "intact"
    housekeeping()
    assert AuditVerification.objects.count() == 1
    AuditVerification.objects.update(requested_at=now() - timedelta(days=1, minutes=1))
    housekeeping()
    assert AuditVerification.objects.count() == 2


def test_one_that_stands_still_is_sent_again_before_its_day_is_over(
    trail: AuditHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = AuditVerification.objects.create(requested_at=now() - timedelta(minutes=2))
    sent: list[int] = []
    monkeypatch.setattr(audit_verifications, "_hint", lambda row: sent.append(row.pk))
    assert audit_verifications.verification_if_due() is None
    assert sent == [row.pk]


@pytest.mark.parametrize("unreadable", ["signing.pub", "head.log"])
def test_a_file_that_cannot_be_read_is_a_verdict_and_calms_once_it_is_back(
    trail: AuditHead, unreadable: str
) -> None:
    from governance.models import Incident

    path = trail.path.parent / unreadable
    content = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    path.mkdir()
    row = verification_start(actor="schedule")
    audit_verification_step(verification_id=row.pk)
    row.refresh_from_db()
    assert row.state == "broken"
    assert row.problem.startswith("what vouches for the trail outside the database cannot be read")
    incident = Incident.objects.create(
        kind="audit_broken", scope="global", severity="critical", title="it is broken", opened_at=now()
    )
    path.rmdir()
    if content is not None:
        path.write_bytes(content)
    row = verification_start(actor="schedule")
    audit_verification_step(verification_id=row.pk)
    row.refresh_from_db()
    incident.refresh_from_db()
    assert (row.state, incident.state) == ("intact", "calm")


def test_people_are_called_when_nobody_has_looked_at_all_of_it_for_more_than_a_day(trail: AuditHead) -> None:
    from governance.models import Incident
    from governance.services.audit_watch import audit_watch

    assert not audit_watch(), "the trail is a moment old"
    row = verification_start(actor="schedule")
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute("UPDATE common_auditentry SET at = at - interval '9 days'")
    AuditVerification.objects.update(requested_at=now() - timedelta(days=9))
    assert audit_watch(), "one runs, and never ends"
    assert audit_watch()
    incident = Incident.objects.get(kind="audit_unverified")
    assert (incident.state, incident.severity) == ("open", "warning")
    assert "last: never" in incident.title
    AuditVerification.objects.filter(pk=row.pk).update(state="intact", finished_at=now())
    assert not audit_watch()
    incident.refresh_from_db()
    assert incident.state == "calm"
    AuditVerification.objects.update(finished_at=now() - timedelta(hours=27))
    assert audit_watch()


def test_a_trail_that_was_found_broken_is_not_called_intact_though_its_newest_part_is(
    trail: AuditHead,
) -> None:
    from nautilus_site.common.services.audit_verifications import audit_standing

    assert audit_standing().intact
    row = verification_start(actor="schedule")
    AuditVerification.objects.filter(pk=row.pk).update(state="broken", finished_at=now(), problem="x")
    standing = audit_standing()
    assert (standing.tail, standing.intact, standing.is_overdue) == (True, False, False)
