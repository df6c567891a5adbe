"""The audit trail's chain: any edit of it is found, and any of the head file that vouches for it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.models import AuditEntry, AuditSeal
from nautilus_site.common.services import audit_chain, audit_digests, audit_proof
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


@pytest.fixture
def sealed(held: Held, tmp_path: Path) -> AuditHead:
    head = AuditHead(tmp_path / "audit")
    for batch in range(3):
        for n in range(3):
            audit_record(
                action="limit.changed", target=f"limit:{batch}-{n}", actor="test", before="1", after={"v": n}
            )
        seal = audit_seal(held)
        assert seal is not None
        head.note(seal)
    return head


def tamper(statement: str, parameters: list[Any]) -> None:
    """As somebody with the database owner's power would."""
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def test_an_untouched_trail_verifies(sealed: AuditHead) -> None:
    verdict = audit_verify(sealed.noted())
    assert (verdict.ok, verdict.rows, verdict.first_bad_id) == (True, 9, None)
    for seals in (1, 2, 3, 20):
        assert audit_verify_tail(seals)


@pytest.mark.parametrize(
    "column",
    [
        "actor_name = 'x'",
        "action = 'x'",
        "target = 'x'",
        "reason = 'x'",
        "before = '\"2\"'",
        "after = '{\"v\": 7}'",
        "request_id = 'x'",
        "at = at + interval '1 microsecond'",
    ],
)
def test_an_edited_entry_is_found_by_its_id(sealed: AuditHead, column: str) -> None:
    victim = AuditEntry.objects.order_by("pk")[4]
    tamper(f"UPDATE common_auditentry SET {column} WHERE id = %s", [victim.pk])  # noqa: S608
    verdict = audit_verify(sealed.noted())
    assert (verdict.ok, verdict.first_bad_id) == (False, victim.pk)
    assert not audit_verify_tail()


def test_the_look_at_the_newest_part_costs_the_same_however_much_a_second_brings(
    sealed: AuditHead, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "TAIL_ENTRIES", 5)
    for n in range(40):
        audit_record(action="x", target=str(n), actor="test")
    assert audit_seal(held) is not None
    hashed: list[int] = []
    plain = audit_digests.entry_digest
    monkeypatch.setattr(audit_digests, "entry_digest", lambda row: hashed.append(row["id"]) or plain(row))
    assert audit_verify_tail()
    assert sorted(hashed, reverse=True) == [row.pk for row in AuditEntry.objects.order_by("-pk")[:5]]
    tamper("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", [min(hashed)])
    assert not audit_verify_tail()


def test_a_removed_entry_is_found_by_its_id(sealed: AuditHead) -> None:
    victim = AuditEntry.objects.order_by("pk")[5].pk
    tamper("DELETE FROM common_auditentry WHERE id = %s", [victim])
    assert audit_verify(sealed.noted()).first_bad_id == victim


def test_an_entry_put_in_past_the_triggers_is_found(sealed: AuditHead) -> None:
    tamper(
        "INSERT INTO common_auditentry (at, actor_name, action, target, reason, request_id)"
        " VALUES (now(), 'x', 'x', 'x', '', '') RETURNING id",
        [],
    )
    assert audit_verify(sealed.noted()).first_bad_id == AuditEntry.objects.latest("pk").pk


def test_a_tail_cut_off_with_its_seal_is_found_through_the_head_file(sealed: AuditHead) -> None:
    last = AuditSeal.objects.latest("pk")
    tamper("DELETE FROM common_auditentry WHERE id = ANY(%s)", [last.entry_ids])
    tamper("DELETE FROM common_auditseal WHERE id = %s", [last.pk])
    assert audit_verify().ok  # the database alone cannot know
    assert audit_verify(sealed.noted()).first_bad_id == last.entry_ids[0]


def test_a_removed_seal_and_seals_put_in_another_order_are_found(sealed: AuditHead) -> None:
    _, second, third = AuditSeal.objects.order_by("pk")
    with transaction.atomic():
        tamper("DELETE FROM common_auditseal WHERE id = %s", [second.pk])
        tamper("DELETE FROM common_auditentry WHERE id = ANY(%s)", [second.entry_ids])
        assert audit_verify().problem == f"seal {third.pk} does not continue the one before it"
        transaction.set_rollback(True)
    for old, new in ((second.pk, 10**6), (third.pk, second.pk), (10**6, third.pk)):
        tamper("UPDATE common_auditseal SET id = %s WHERE id = %s", [new, old])
    assert audit_verify().problem == f"seal {second.pk} does not continue the one before it"


def test_two_entries_that_changed_places_are_found(sealed: AuditHead) -> None:
    one, other = AuditEntry.objects.order_by("pk")[1:3]
    for old, new in ((one.pk, -1), (other.pk, one.pk), (-1, other.pk)):
        tamper("UPDATE common_auditentry SET id = %s WHERE id = %s", [new, old])
    assert audit_verify(sealed.noted()).first_bad_id == one.pk


def test_a_head_file_that_is_gone_emptied_cut_short_or_another_one_is_found(
    sealed: AuditHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = AuditSeal.objects.earliest("pk").pk
    lines = sealed.path.read_text().splitlines(keepends=True)
    forged = lines[1].replace(json.loads(lines[1])["hash"], "f" * 64)
    bad = {
        "gone": (None, first, "not noted"),
        "emptied": ("", first, "not noted"),
        "without its first line": ("".join(lines[1:]), first, "not noted"),
        "without a line in the middle": (lines[0] + lines[2], first + 1, "not noted"),
        "without its last line": (lines[0] + lines[1], first + 2, "not noted"),
        "with another hash": (lines[0] + forged + lines[2], first + 1, "not the one noted"),
    }
    assert audit_verify(AuditHead(sealed.path.parent / "nowhere").noted()).ok, "a note may be a moment late"
    monkeypatch.setattr(audit_proof, "FRESH", timedelta(0))
    for what, (text, seal, said) in bad.items():
        sealed.path.unlink(missing_ok=True)
        if text is not None:
            sealed.path.write_text(text)
        verdict = audit_verify(sealed.noted())
        assert not verdict.ok, what
        assert verdict.problem.startswith(f"seal {seal} is {said}"), (what, verdict.problem)


def test_notes_left_out_by_a_crash_or_a_full_disk_are_made_up_for(
    sealed: AuditHead, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_proof, "FRESH", timedelta(0))
    for n in range(2):
        audit_record(action="x", target=str(n), actor="test")
        newest = audit_seal(held)
    assert not audit_verify(sealed.noted()).ok
    assert sealed.catch_up(newest) == 1
    assert audit_verify(sealed.noted()).ok
    seals = list(AuditSeal.objects.order_by("pk").values_list("pk", flat=True))
    assert [head.seal for head in sealed.noted()] == seals


def test_a_head_file_that_somebody_removed_is_not_written_anew(
    sealed: AuditHead, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_proof, "FRESH", timedelta(0))
    sealed.path.unlink()
    audit_record(action="x", target="x", actor="test")
    newest = audit_seal(held)
    assert newest is not None
    assert sealed.catch_up(newest) == 0
    assert [head.seal for head in sealed.noted()] == [newest.pk]
    assert "not noted" in audit_verify(sealed.noted()).problem


def test_a_chain_rewritten_from_the_start_is_found_through_the_head_file(
    sealed: AuditHead, held: Held
) -> None:
    tamper("DELETE FROM common_auditseal WHERE %s", [True])
    tamper("INSERT INTO common_unsealedentry SELECT id FROM common_auditentry", [])
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE common_auditseal_id_seq RESTART")
    tamper("UPDATE common_auditentry SET reason = 'rewritten' WHERE %s", [True])
    assert audit_seal(held) is not None
    assert audit_verify().ok
    assert not audit_verify(sealed.noted()).ok


def test_the_command_exits_1_and_names_the_entry(
    sealed: AuditHead, settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.NAUTILUS_HOME = tmp_path
    call_command("audit", "verify", "--json")
    assert json.loads(capsys.readouterr().out)["ok"] is True
    victim = AuditEntry.objects.order_by("pk")[0].pk
    tamper("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", [victim])
    with pytest.raises(SystemExit) as ended:
        call_command("audit", "verify", "--json")
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["first_bad_id"] == victim
