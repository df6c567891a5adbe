"""The relay: commit order without gaps, a faithful mirror, a sealed audit trail, and no two at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.daemons.mirror import EventMirror
from nautilus_site.common.models import AuditEntry, AuditSeal, Lease, OutboxEvent, UnsealedEntry
from nautilus_site.common.services import event_numbering
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal
from nautilus_site.common.services.audit_proof import audit_verify
from nautilus_site.common.services.event_numbering import FenceLost, events_number, events_prune
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release
from nautilus_site.common.services.outbox import publish
from tests.factories.relays import RunningRelay

pytestmark = pytest.mark.django_db(transaction=True)


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        outcome = condition()
        if outcome:
            return outcome
        time.sleep(0.02)
    raise AssertionError("the condition did not come true in time")


@pytest.fixture
def held() -> Held:
    taken = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert taken is not None
    return taken


@pytest.fixture
def start_relay(tmp_path: Path) -> Iterator[Callable[[], RunningRelay]]:
    running: list[RunningRelay] = []

    def start() -> RunningRelay:
        running.append(RunningRelay(tmp_path))
        return running[-1]

    yield start
    for relay in running:
        relay.stop()


def numbered() -> list[tuple[int, int]]:
    rows = OutboxEvent.objects.exclude(event_id=None).order_by("event_id")
    return [(row.event_id or 0, row.data["n"]) for row in rows]


def mirrored(home: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(home.glob("events/*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_a_transaction_that_commits_late_gets_its_number_late(held: Held) -> None:
    inserted, finish = threading.Event(), threading.Event()

    def long_transaction() -> None:
        try:
            with transaction.atomic():
                publish("orders", {"n": 1})
                inserted.set()
                finish.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=long_transaction)
    thread.start()
    assert inserted.wait(10)
    publish("orders", {"n": 2})
    assert [(number, data["n"]) for number, _, _, data in events_number(held)] == [(1, 2)]
    finish.set()
    thread.join(10)
    assert [(number, data["n"]) for number, _, _, data in events_number(held)] == [(2, 1)]
    assert events_number(held) == []


def test_concurrent_writers_are_numbered_without_gaps_and_mirrored_once(
    start_relay: Callable[[], RunningRelay], tmp_path: Path
) -> None:
    start_relay()

    def write(writer: int) -> None:
        try:
            for n in range(50):
                with transaction.atomic():
                    publish("fills", {"n": writer * 1000 + n})
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join(30)
    wait_for(lambda: len(numbered()) == 200)
    rows = numbered()
    assert [number for number, _ in rows] == list(range(1, 201))
    for writer in range(4):  # each writer's own order survives
        own = [n for _, n in rows if n // 1000 == writer]
        assert own == sorted(own)
    wait_for(lambda: len(mirrored(tmp_path)) == 200)
    assert [(event["id"], event["data"]["n"]) for event in mirrored(tmp_path)] == rows
    assert {event["schema_version"] for event in mirrored(tmp_path)} == {1}


def test_an_event_is_numbered_within_a_few_milliseconds(start_relay: Callable[[], RunningRelay]) -> None:
    start_relay()
    publish("fills", {"n": 0})
    wait_for(lambda: len(numbered()) == 1)
    took = []
    for n in range(1, 21):
        publish("fills", {"n": n})
        began = time.monotonic()
        wait_for(lambda n=n: len(numbered()) == n + 1)
        took.append(time.monotonic() - began)
    # Polling alone would take 0.25 s on average: the wake-up works.
    assert sorted(took)[10] < 0.1


def test_only_the_holder_of_the_lease_numbers(held: Held) -> None:
    publish("orders", {"n": 1})
    lease_release(held)
    successor = lease_acquire(name="relay", holder="successor")
    assert successor is not None
    with pytest.raises(FenceLost):
        events_number(held)
    assert numbered() == []
    assert len(events_number(successor)) == 1


def test_a_second_relay_stands_by_and_takes_over(start_relay: Callable[[], RunningRelay]) -> None:
    first = start_relay()
    wait_for(lambda: Lease.objects.filter(name="relay").exclude(holder="").exists())
    fence = Lease.objects.get(name="relay").fence
    start_relay()
    publish("orders", {"n": 1})
    wait_for(lambda: numbered() == [(1, 1)])
    assert Lease.objects.get(name="relay").fence == fence
    first.stop()
    publish("orders", {"n": 2})
    wait_for(lambda: numbered() == [(1, 1), (2, 2)])
    assert Lease.objects.get(name="relay").fence == fence + 1


def test_the_mirror_goes_on_after_a_crash_without_loss_or_repetition(
    start_relay: Callable[[], RunningRelay], tmp_path: Path
) -> None:
    first = start_relay()
    for n in range(5):
        publish("orders", {"n": n})
    wait_for(lambda: len(mirrored(tmp_path)) == 5)
    first.stop()
    # As after a power cut: two lines never reached the disk and the next is torn.
    path = next(tmp_path.glob("events/*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:17])
    publish("orders", {"n": 5})
    start_relay()
    wait_for(lambda: len(path.read_text().splitlines()) == 6)
    assert [event["id"] for event in mirrored(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_full_mirror_file_is_followed_by_the_next(tmp_path: Path) -> None:
    mirror = EventMirror(tmp_path, maximum_file_bytes=300)
    mirror.open()
    for number in range(1, 13):
        mirror.append([(number, "orders", now(), {"n": number})])
    assert len(list(tmp_path.iterdir())) > 2
    mirror.close()
    again = EventMirror(tmp_path, maximum_file_bytes=300)
    again.open()
    assert again.last_id == 12


def test_the_connection_is_found_again_when_postgres_cuts_it(start_relay: Callable[[], RunningRelay]) -> None:
    start_relay()
    publish("orders", {"n": 1})
    wait_for(lambda: len(numbered()) == 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 2  # the relay's own and its listener
    publish("orders", {"n": 2})
    wait_for(lambda: len(numbered()) == 2)


def test_pruning_keeps_a_day_and_the_newest(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_numbering, "KEEP_EVENTS", 3)
    for n in range(10):
        publish("orders", {"n": n})
    events_number(held)
    assert events_prune(held, mirrored_to=10) == 0
    OutboxEvent.objects.filter(event_id__lte=9).update(at=now() - timedelta(hours=25))
    assert events_prune(held, mirrored_to=5) == 5
    assert events_prune(held, mirrored_to=10) == 2
    assert [number for number, _ in numbered()] == [8, 9, 10]


def test_an_entry_committed_late_is_sealed_too(held: Held) -> None:
    inserted, finish = threading.Event(), threading.Event()

    def long_transaction() -> None:
        try:
            with transaction.atomic():
                audit_record(action="late", target="t", actor="test")
                inserted.set()
                finish.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=long_transaction)
    thread.start()
    assert inserted.wait(10)
    early = audit_record(action="early", target="t", actor="test")
    first = audit_seal(held)
    assert first is not None
    assert first.entry_ids == [early.pk]
    finish.set()
    thread.join(10)
    second = audit_seal(held)
    late = AuditEntry.objects.get(action="late")
    assert late.pk < early.pk
    assert second is not None
    assert second.entry_ids == [late.pk]
    assert second.previous_hash == first.hash
    assert audit_seal(held) is None
    assert not UnsealedEntry.objects.exists()
    assert audit_verify().ok


def test_the_relay_seals_each_second_and_notes_the_head(
    start_relay: Callable[[], RunningRelay], tmp_path: Path
) -> None:
    start_relay()
    audit_record(action="limit.changed", target="limit:x", actor="test")
    seal = wait_for(lambda: AuditSeal.objects.first(), seconds=5)
    wait_for(lambda: list(AuditHead(tmp_path / "audit").noted()))
    assert [(head.seal, head.hash) for head in AuditHead(tmp_path / "audit").noted()] == [
        (seal.pk, seal.hash)
    ]
