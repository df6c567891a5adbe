"""What a restore lost of the audit trail: red until two people accept it, and nothing else is forgiven by that."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.errors import Conflict, Forbidden
from nautilus_site.common.models import AuditEntry, AuditSeal, ChangeRequest, OutboxEvent, User
from nautilus_site.common.services import audit_losses, audit_proof
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import LOSS, audit_seal
from nautilus_site.common.services.audit_losses import KIND, TARGET, audit_verified_now
from nautilus_site.common.services.change_requests import change_request_approve, change_request_create
from nautilus_site.common.services.leases import Held, lease_acquire
from tests.factories.tampering import trail_unguarded

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("nautilus_site.urls")]
Seal = Callable[[], AuditSeal]
Two = tuple[User, User]


@pytest.fixture
def held() -> Held:
    taken = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert taken is not None
    return taken


@pytest.fixture
def seal(held: Held, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Seal:
    """Seals and notes what waits, as the relay does. Three seals of three entries are there; no note may be late."""
    settings.NAUTILUS_HOME = tmp_path
    for module in (audit_proof, audit_losses):
        monkeypatch.setattr(module, "FRESH", timedelta(0))
    head = AuditHead(tmp_path / "audit")

    def made() -> AuditSeal:
        sealed = audit_seal(held)
        assert sealed is not None
        head.note(sealed)
        return sealed

    for batch in range(3):
        for n in range(3):
            audit_record(action="limit.changed", target=f"limit:{batch}-{n}", actor="test", after={"v": n})
        made()
    return made


@pytest.fixture
def people(seal: Seal, risk_officer: User, second_risk_officer: User) -> Two:
    return risk_officer, second_risk_officer


def tamper(statement: str, *parameters: Any) -> None:
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def restored_without_the_newest() -> AuditSeal:
    """A database that came back without its newest seal gives its numbers away again."""
    last = AuditSeal.objects.latest("pk")
    tamper("DELETE FROM common_unsealedentry")
    tamper("DELETE FROM common_auditentry WHERE id >= %s", last.entry_ids[0])
    tamper("DELETE FROM common_auditseal WHERE id = %s", last.pk)
    tamper("SELECT setval('common_auditseal_id_seq', %s, false)", last.pk)
    tamper("SELECT setval('common_auditentry_id_seq', %s, false)", last.entry_ids[0])
    return last


def ask(person: User, reason: str = "restored the dump of Monday") -> ChangeRequest:
    return change_request_create(kind=KIND, target=TARGET, payload={}, reason=reason, requester=person)


def accept(people: Two) -> AuditEntry:
    change_request_approve(request_id=ask(people[0]).pk, approver=people[1])
    return AuditEntry.objects.filter(action=LOSS).latest("pk")


def test_a_loss_is_red_until_two_people_accept_it_and_then_told_for_ever(
    people: Two, seal: Seal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = restored_without_the_newest()
    audit_record(action="x", target="after the loss", actor="test")
    assert seal().pk == last.pk, "its number was given away again"
    assert audit_verified_now().problem == f"seal {last.pk} is not the one noted in the head file"
    entry = accept(people)
    verdict = audit_verified_now()
    said = f"3 rows known lost, accepted by risk and risk2 at {entry.at:%Y-%m-%d %H:%M:%S} UTC"
    assert (verdict.ok, verdict.lost, verdict.accepted) == (True, 1, (said,))
    call_command("audit", "verify")
    assert said in capsys.readouterr().out
    # It stands in the chain, and in the head file beside it.
    seal()
    notes = [json.loads(line) for line in (tmp_path / "audit" / "head.log").read_text().splitlines()]
    noted = next(note for note in notes if "accepted" in note)
    assert (noted["accepted"], noted["rows"], noted["by"]) == (entry.pk, 3, ["risk", "risk2"])
    assert entry.after["lost"] == [[last.pk, last.hash]]
    assert audit_verified_now().ok
    assert OutboxEvent.objects.filter(topic="incidents", data__kind="audit_loss_accepted").count() == 1
    with pytest.raises(Conflict) as nothing:
        ask(people[0])
    assert nothing.value.code == "AUDIT_NOTHING_LOST"


def test_after_an_acceptance_everything_else_is_still_found(people: Two, seal: Seal) -> None:
    restored_without_the_newest()
    audit_record(action="x", target="after the loss", actor="test")
    new = seal()
    accept(people)
    seal()
    assert audit_verified_now().ok
    # The acceptance names one hash under that number; the other one is held to account.
    tamper("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", new.entry_ids[0])
    assert audit_verified_now().first_bad_id == new.entry_ids[0]
    tamper("UPDATE common_auditentry SET reason = '' WHERE id = %s", new.entry_ids[0])
    assert audit_verified_now().ok
    victim = AuditSeal.objects.earliest("pk").entry_ids[1]
    tamper("DELETE FROM common_auditentry WHERE id = %s", victim)
    assert audit_verified_now().first_bad_id == victim


def test_a_second_loss_needs_an_acceptance_of_its_own(people: Two, seal: Seal) -> None:
    restored_without_the_newest()
    accept(people)
    seal()
    audit_record(action="x", target="the next day", actor="test")
    seal()
    assert audit_verified_now().ok
    last = restored_without_the_newest()
    assert audit_verified_now().problem == f"seal {last.pk} is noted in the head file and missing"
    accept(people)
    assert [text[:6] for text in audit_verified_now().accepted] == ["3 rows", "1 rows"]


def test_a_restore_that_lost_the_acceptance_too_is_red_again(people: Two, seal: Seal) -> None:
    restored_without_the_newest()
    entry = accept(people)
    sealed = seal()
    assert entry.pk in sealed.entry_ids
    tamper("DELETE FROM common_auditentry WHERE id = ANY(%s)", sealed.entry_ids)
    tamper("DELETE FROM common_auditseal WHERE id = %s", sealed.pk)
    assert not audit_verified_now().ok


def test_a_lost_head_file_is_accepted_the_same_way(people: Two, seal: Seal, tmp_path: Path) -> None:
    (tmp_path / "audit" / "head.log").unlink()
    assert "is not noted in the head file" in audit_verified_now().problem
    request = ask(people[0], "moved to another machine, the file was not copied")
    seals = list(AuditSeal.objects.order_by("pk").values_list("pk", flat=True))
    assert request.payload["unnoted_seals"] == f"3, from {seals[0]} to {seals[-1]}"
    change_request_approve(request_id=request.pk, approver=people[1])
    seal()
    assert audit_verified_now().ok


def test_nobody_accepts_a_loss_alone_or_without_the_role(
    people: Two, trader: User, admin_person: User
) -> None:
    restored_without_the_newest()
    with pytest.raises(Forbidden):
        ask(trader)
    request = ask(people[0])
    with pytest.raises(Forbidden) as alone:
        change_request_approve(request_id=request.pk, approver=people[0])
    assert alone.value.code == "SELF_APPROVAL"
    with pytest.raises(Forbidden):
        change_request_approve(request_id=request.pk, approver=admin_person)
    assert not audit_verified_now().ok


def test_an_entry_without_two_people_behind_it_forgives_nothing(people: Two) -> None:
    last = restored_without_the_newest()
    forged = {
        "rows": 3, "seals_digest": "x", "by": ["risk", "risk2"], "accepted_at": "2026-01-01T00:00:00+00:00",
        "request": None, "lost": [[last.pk, last.hash]], "unnoted": [],
    }  # fmt: skip
    audit_record(action=LOSS, target=TARGET, actor="somebody with a shell", after=forged)
    assert not audit_verified_now().ok
    request = ask(people[0])  # asked for, and decided by nobody
    audit_record(action=LOSS, target=TARGET, actor="x", after={**forged, "request": str(request.pk)})
    assert not audit_verified_now().ok
    ChangeRequest.objects.filter(pk=request.pk).update(
        state="applied", approver=people[1], decided_at=now(), applied_at=now()
    )
    accepted = audit_losses.audit_losses_accepted()
    assert accepted.lost == {(last.pk, last.hash)}, "decided by two people, of that very loss"
    more = [[last.pk, last.hash], [last.pk, "0" * 64]]
    audit_record(
        action=LOSS, target=TARGET, actor="x", after={**forged, "request": str(request.pk), "lost": more}
    )
    assert audit_losses.audit_losses_accepted().lost == accepted.lost, "and of no other"


def test_a_request_is_void_once_something_else_is_lost(people: Two) -> None:
    restored_without_the_newest()
    request = ask(people[0])
    second = AuditSeal.objects.latest("pk")
    tamper("DELETE FROM common_auditseal WHERE id = %s", second.pk)
    with pytest.raises(Conflict) as void:
        change_request_approve(request_id=request.pk, approver=people[1])
    assert void.value.code == "APPROVAL_VOID"


def test_a_trail_whose_newest_part_was_tampered_with_cannot_be_called_a_loss(people: Two) -> None:
    restored_without_the_newest()
    tamper("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", AuditEntry.objects.order_by("pk")[1].pk)
    with pytest.raises(Conflict) as refused:
        ask(people[0])
    assert refused.value.code == "AUDIT_BROKEN"


def test_the_api_asks_with_an_empty_payload_only(people: Two, token_client: Callable[..., Any]) -> None:
    api = token_client(people[0])
    last = restored_without_the_newest()
    body = {"kind": KIND, "target": TARGET, "reason": "restored"}
    told = api.post("/api/v1/approvals", {**body, "payload": {"lost": [[last.pk, last.hash]]}}, format="json")
    assert (told.status_code, told.json()["code"]) == (400, "INVALID_LOSS")
    asked = api.post("/api/v1/approvals", {**body, "payload": {}}, format="json")
    assert asked.status_code == 202
    assert asked.json()["diff"]["lost_seals"][1] == f"1, from {last.pk} to {last.pk}"
