"""The tamper drill: whatever byte of whatever audit row is edited, the verification finds it and names the row.

`AUDIT_EDITS` sets how many edits the long drill makes.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction

from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.models import AuditEntry, AuditSeal, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal
from nautilus_site.common.services.audit_proof import audit_verify
from nautilus_site.common.services.leases import lease_acquire
from tests.factories import tampering

pytestmark = pytest.mark.django_db
EDITS = int(os.environ.get("AUDIT_EDITS", "10000"))
TEXTS = ("actor_name", "action", "target", "reason", "request_id")
VALUES = ("before", "after")
LENGTHS = {"actor_name": 150, "action": 80, "target": 160, "request_id": 64}


@pytest.fixture
def head(tmp_path: Path, trader: User, viewer: User) -> AuditHead:
    """Forty entries of all shapes in eight seals, the owner's power taken: the triggers are off."""
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=60))
    assert held is not None
    head = AuditHead(tmp_path / "audit")
    shapes: list[Any] = [None, "5000", {"v": 1, "names": ["é", "ß"]}, [1, 2.5, None], True, 0, ""]
    for batch in range(8):
        for n in range(5):
            audit_record(
                action=f"kind.{n}",
                target=f"limit:{batch}-{n}",
                actor=trader if n % 2 else "allocator",
                reason="because — ü" if n else "",
                before=shapes[(batch + n) % 7],
                after=shapes[(batch * n) % 7],
            )
        seal = audit_seal(held)
        assert seal is not None
        head.note(seal)
    tampering.run(tampering.guards_off())  # the test's transaction is rolled back, and this with it
    return head


def other_text(text: str, most: int, rng: Random) -> str:
    """The text with one character changed, put in or left out."""
    place = rng.randrange(len(text) + 1)
    character = chr(rng.choice([*range(0x20, 0x7F), 0xE9, 0x4E2D]))
    choices = [text[:place] + character + text[place:]] if len(text) < most else []
    if place < len(text):
        choices += [text[:place] + character + text[place + 1 :], text[:place] + text[place + 1 :]]
    return next((made for made in rng.sample(choices, len(choices)) if made != text), text + "x")


def other_value(value: Any, rng: Random) -> Any:
    """JSON with one byte of its text changed that is still JSON, and still says something else."""
    text = json.dumps(value)
    for _ in range(400):
        place = rng.randrange(len(text))
        made = text[:place] + chr(rng.randrange(0x20, 0x7F)) + text[place + 1 :]
        try:
            changed = json.loads(made)
        except ValueError:
            continue
        if json.dumps(changed) != text:
            return changed
    return [value]


def edit(entry: AuditEntry, column: str, rng: Random, people: list[int]) -> Any:
    """A small change of one column."""
    value = getattr(entry, column)
    if column in TEXTS:
        return other_text(value, LENGTHS.get(column, 10_000), rng)
    if column in VALUES:
        return json.dumps(other_value(value, rng))
    if column == "at":
        assert isinstance(value, datetime)
        return value + timedelta(microseconds=rng.choice([-1, 1, 1000, 10**9]))
    return rng.choice([pk for pk in (*people, None) if pk != value])


def drill(head: AuditHead, edits: int, seed: int) -> None:
    rng = Random(seed)
    people = list(User.objects.values_list("pk", flat=True))
    entries = list(AuditEntry.objects.order_by("pk"))
    noted = list(head.noted())
    assert audit_verify(noted).ok
    for number in range(edits):
        entry = rng.choice(entries)
        column = rng.choice([*TEXTS, *VALUES, "at", "actor_id"])
        value = edit(entry, column, rng, people)
        with transaction.atomic():
            cast = "::jsonb" if column in VALUES else ""
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE common_auditentry SET {column} = %s{cast} WHERE id = %s",  # noqa: S608
                    [value, entry.pk],
                )
                assert cursor.rowcount == 1
            verdict = audit_verify(noted)
            assert (verdict.ok, verdict.first_bad_id) == (False, entry.pk), (seed, number, column, value)
            transaction.set_rollback(True)
    assert audit_verify(noted).ok


def test_any_edited_byte_of_any_entry_is_found_by_its_row(head: AuditHead) -> None:
    drill(head, 120, seed=1)


@pytest.mark.long
def test_ten_thousand_edits_are_found(head: AuditHead) -> None:
    drill(head, EDITS, seed=2)


@pytest.mark.parametrize("column", ["hash", "previous_hash", "entry_hashes", "entry_ids"])
def test_an_edited_seal_is_found(head: AuditHead, column: str) -> None:
    for seal in AuditSeal.objects.order_by("pk"):
        with transaction.atomic():
            value = getattr(seal, column)
            if isinstance(value, str):
                setattr(seal, column, value[:-1] + ("0" if value[-1] != "0" else "1"))
            elif column == "entry_ids":
                seal.entry_ids = value[:-1]
            else:
                seal.entry_hashes = [*value[:-1], "0" * 64]
            seal.save()
            verdict = audit_verify(head.noted())
            assert not verdict.ok
            assert f"seal {seal.pk}" in verdict.problem or f"seal {seal.pk + 1}" in verdict.problem
            transaction.set_rollback(True)
