"""The notes outside the database: no hole after a failure, none forged after a removal, read on from any place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from nautilus_site.common.clock import now
from nautilus_site.common.daemons import audit_head
from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.daemons.relay import Relay
from nautilus_site.common.models import AuditSeal
from nautilus_site.common.services import audit_proof
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import LOSS, audit_seal
from nautilus_site.common.services.audit_losses import audit_losses_accepted
from nautilus_site.common.services.audit_proof import Checked, audit_verify, audit_verify_piece
from nautilus_site.common.services.audit_verifications import verification_start, verification_step
from nautilus_site.common.services.leases import Held, lease_acquire

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_note_may_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_proof, "FRESH", timedelta(0))


@pytest.fixture
def held() -> Held:
    taken = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert taken is not None
    return taken


@pytest.fixture
def relay(tmp_path: Path) -> Relay:
    return Relay(tmp_path, holder="test")


def an_entry() -> None:
    audit_record(action="x", target="x", actor="test")


def numbers(head: AuditHead) -> list[int]:
    return [note.seal for note in head.noted()]


def test_a_database_that_fails_between_the_seal_and_its_note_leaves_no_hole(
    relay: Relay, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(ids: list[int]) -> Any:
        raise OperationalError("the connection is gone")

    an_entry()
    relay._seal(held)
    an_entry()
    with monkeypatch.context() as patch:
        patch.setattr(audit_head, "acceptances_among", fails)
        with pytest.raises(OperationalError):
            relay._seal(held)
    an_entry()
    relay._seal(held)
    assert numbers(relay.head) == list(AuditSeal.objects.order_by("pk").values_list("pk", flat=True))
    assert audit_verify(relay.head.noted()).ok


def test_a_seal_that_a_successor_did_not_note_is_made_up_for(relay: Relay, held: Held) -> None:
    an_entry()
    relay._seal(held)
    an_entry()
    assert audit_seal(held) is not None  # a successor that died right after
    relay._held = None
    assert relay._lead() is False, "it still holds the lease"
    relay._held = held
    relay._notes_missing = True  # as on taking the lease
    an_entry()
    relay._seal(held)
    assert len(numbers(relay.head)) == 3
    assert audit_verify(relay.head.noted()).ok


def test_whoever_takes_the_lease_looks_for_what_was_left_out(relay: Relay) -> None:
    relay._notes_missing = False
    assert relay._lead()
    assert relay._notes_missing


def test_the_first_seal_of_all_may_be_left_out_and_is_made_up_for(
    relay: Relay, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(relay.head, "catch_up", lambda seal: (_ for _ in ()).throw(OSError("disk full")))
        an_entry()
        relay._seal(held)
    assert numbers(relay.head) == []
    relay._seal(held)
    assert len(numbers(relay.head)) == 1
    assert audit_verify(relay.head.noted()).ok


def test_a_file_that_somebody_removed_does_not_begin_again(relay: Relay, held: Held) -> None:
    an_entry()
    relay._seal(held)
    relay.head.path.unlink()
    successor = Relay(relay.head.path.parent.parent, holder="test")
    an_entry()
    successor._seal(held)
    assert len(numbers(successor.head)) == 1
    assert "not noted" in audit_verify(successor.head.noted()).problem


def test_an_acceptance_that_says_nothing_forgives_nothing_and_stops_nothing(relay: Relay, held: Held) -> None:
    for after in (
        {"request": "nonsense"},
        {"request": None, "rows": 1, "seals_digest": "x", "by": [], "accepted_at": ""},
        {"request": "00000000-0000-0000-0000-000000000000", "lost": [["x"]], "unnoted": 7, "rows": "many"},
        ["no object"],
        None,
    ):
        audit_record(action=LOSS, target="audit:chain", actor="x", after=after)
    relay._seal(held)
    assert len(numbers(relay.head)) == 1
    accepted = audit_losses_accepted()
    assert (accepted.lost, accepted.unnoted, accepted.sentences) == (frozenset(), frozenset(), ())
    assert audit_verify(relay.head.noted(), accepted).ok


def test_notes_are_read_on_from_where_the_last_look_ended_also_after_files_were_put_aside(
    relay: Relay, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_head, "MAXIMUM_FILE_BYTES", 400)
    for _ in range(4):
        an_entry()
        relay._seal(held)
    halfway = list(relay.head.noted())[1]
    for _ in range(5):
        an_entry()
        relay._seal(held)
    files = list(relay.head.path.parent.glob("head*.log"))
    assert len(files) > 2
    everything = numbers(relay.head)
    assert everything == list(AuditSeal.objects.order_by("pk").values_list("pk", flat=True))
    assert [note.seal for note in relay.head.noted(halfway.end)] == everything[2:]


def test_after_a_restore_a_file_put_aside_replaces_no_earlier_one(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_head, "MAXIMUM_FILE_BYTES", 1)
    monkeypatch.setattr(audit_head, "acceptances_among", lambda ids: [])
    for number in (10, 11, 12, 11, 12):  # the last two were given away a second time
        relay.head.note(
            AuditSeal(pk=number, hash=f"{number}", entry_ids=[1], entry_hashes=[""], sealed_at=now())
        )
    assert numbers(relay.head) == [10, 11, 12, 11, 12]


def test_a_look_in_pieces_reads_each_note_once_and_comes_to_the_same_verdict(
    relay: Relay, held: Held, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_proof, "NOTES_AT_ONCE", 2)
    settings.NAUTILUS_HOME = relay.head.path.parent.parent
    for _ in range(7):
        an_entry()
        relay._seal(held)
    read: list[int] = []
    noted = AuditHead.noted

    def counted(head: AuditHead, place: int = 0) -> Any:
        for note in noted(head, place):
            read.append(note.seal)
            yield note

    monkeypatch.setattr(AuditHead, "noted", counted)
    row = verification_start(actor="test")
    relay._seal(held)
    pieces = 0
    while row.state == "running":
        pieces += 1
        verification_step(verification_id=row.pk, piece_s=0.0)
        row.refresh_from_db()
    assert (row.state, row.rows, row.noted) == ("intact", 8, None)
    assert pieces > 3
    numbers_read = sorted(set(read))
    assert numbers_read == list(AuditSeal.objects.order_by("pk").values_list("pk", flat=True))
    assert len(read) <= len(numbers_read) + 2 * pieces, "a piece reads on, it does not begin again"


def test_a_note_that_contradicts_the_chain_is_found_whichever_piece_reads_it(
    relay: Relay, held: Held
) -> None:
    for _ in range(3):
        an_entry()
        relay._seal(held)
    forged = relay.head.path.read_text().replace(AuditSeal.objects.latest("pk").hash, "f" * 64)
    relay.head.path.write_text(forged)
    checked, verdict = Checked(), None
    while verdict is None:
        looks = iter([True, True, True])
        checked, verdict = audit_verify_piece(checked, relay.head.noted, within=lambda: next(looks, False))  # noqa: B023
    assert (verdict.ok, verdict.problem) == (
        False,
        f"seal {AuditSeal.objects.latest('pk').pk} is not the one noted in the head file",
    )
