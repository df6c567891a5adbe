"""The audit trail's chain: any edit is found, also through the head file, and a restore's loss is told and known."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import AuditEntry, AuditSeal
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal, audit_verify, audit_verify_tail
from nautilus_site.common.services.audit_losses import audit_loss_acknowledge
from nautilus_site.common.services.leases import Held, lease_acquire

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
    with connection.cursor() as cursor:
        for table in ("common_auditentry", "common_auditseal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        for table in ("common_auditentry", "common_auditseal"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


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


def restore_without_the_newest(head: AuditHead, held: Held) -> tuple[AuditSeal, AuditSeal]:
    """A database that came back without its newest rows gives their numbers away again: (lost, new)."""
    last = AuditSeal.objects.latest("pk")
    tamper("DELETE FROM common_auditentry WHERE id = ANY(%s)", [last.entry_ids])
    tamper("DELETE FROM common_auditseal WHERE id = %s", [last.pk])
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('common_auditseal_id_seq', %s, false)", [last.pk])
        cursor.execute("SELECT setval('common_auditentry_id_seq', %s, false)", [last.entry_ids[0]])
    audit_record(action="x", target="after the loss", actor="test")
    new = audit_seal(held)
    assert new is not None
    assert new.pk == last.pk
    head.note(new)
    return last, new


def test_a_tail_that_was_lost_and_sealed_over_is_found_through_the_head_file(
    sealed: AuditHead, held: Held
) -> None:
    last, _ = restore_without_the_newest(sealed, held)
    verdict = audit_verify(sealed.noted())
    assert (verdict.ok, verdict.problem) == (
        False,
        f"seal {last.pk} is noted in the head file as two different ones",
    )


def test_a_loss_that_is_acknowledged_is_counted_and_everything_else_is_still_found(
    sealed: AuditHead, held: Held
) -> None:
    last, new = restore_without_the_newest(sealed, held)
    loss = audit_loss_acknowledge(
        heads=sealed.noted(), actor="operator", reason="restored the dump of Monday"
    )
    assert loss.seals == ((last.pk, last.hash),)
    entry = AuditEntry.objects.get(actor_name="operator")
    assert entry.after == {"seals": [[last.pk, last.hash]], "first_entry": last.entry_ids[0]}
    seal = audit_seal(held)
    assert seal is not None
    sealed.note(seal)
    verdict = audit_verify(sealed.noted())
    assert (verdict.ok, verdict.lost, verdict.rows) == (True, 1, 8)
    with pytest.raises(Conflict) as nothing:
        audit_loss_acknowledge(heads=sealed.noted(), actor="operator", reason="again")
    assert nothing.value.code == "AUDIT_NOTHING_LOST"
    # The acknowledgement names one hash under that number; the other is still held to account.
    tamper("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", [new.entry_ids[0]])
    assert audit_verify(sealed.noted()).first_bad_id == new.entry_ids[0]


def test_a_trail_that_was_tampered_with_cannot_be_called_a_loss(sealed: AuditHead, held: Held) -> None:
    restore_without_the_newest(sealed, held)
    victim = AuditEntry.objects.order_by("pk")[1].pk
    tamper("UPDATE common_auditentry SET reason = 'x' WHERE id = %s", [victim])
    with pytest.raises(Conflict) as refused:
        audit_loss_acknowledge(heads=sealed.noted(), actor="operator", reason="restored")
    assert refused.value.code == "AUDIT_BROKEN"
    assert not AuditEntry.objects.filter(actor_name="operator").exists()


def test_the_command_acknowledges_a_loss(
    sealed: AuditHead, held: Held, settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.NAUTILUS_HOME = tmp_path
    with pytest.raises(CommandError, match="AUDIT_NOTHING_LOST"):
        call_command("audit", "acknowledge", "--reason", "the disk died")
    restore_without_the_newest(sealed, held)
    with pytest.raises(CommandError, match="REASON_REQUIRED"):
        call_command("audit", "acknowledge", "--reason", " ")
    call_command("audit", "acknowledge", "--reason", "the disk died")
    assert "1 lost seals are known to be lost" in capsys.readouterr().out
    call_command("audit", "verify", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["lost"], told["unsealed"]) == (True, 1, 1)


def test_a_chain_rewritten_from_the_start_is_found_through_the_head_file(
    sealed: AuditHead, held: Held
) -> None:
    tamper("DELETE FROM common_auditseal WHERE %s", [True])
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO common_unsealedentry SELECT id FROM common_auditentry")
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
