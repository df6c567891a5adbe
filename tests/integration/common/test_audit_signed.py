"""The signed head lines: made by the relay, and a trail whose lines were edited, removed or forged is broken."""

from __future__ import annotations

import hashlib
import json
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.daemons import relay as relay_module
from nautilus_site.common.daemons.relay import Relay
from nautilus_site.common.models import AuditEntry, AuditSeal, User
from nautilus_site.common.services import audit_signed_proof
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_losses import KIND, TARGET, audit_verified_now
from nautilus_site.common.services.audit_signed_heads import SIGNED, SignedHead
from nautilus_site.common.services.audit_signing import HEAD, Signer, is_signed_by, signer_made, signer_there
from nautilus_site.common.services.audit_verifications import verification_start, verification_step
from nautilus_site.common.services.change_requests import change_request_approve, change_request_create
from nautilus_site.common.services.leases import Held, lease_acquire
from tests.factories.tampering import trail_unguarded

pytestmark = pytest.mark.django_db
Turn = Callable[[], None]


@pytest.fixture
def held() -> Held:
    taken = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert taken is not None
    return taken


@pytest.fixture
def relay(tmp_path: Path, settings: Any) -> Relay:
    settings.NAUTILUS_HOME = tmp_path
    return Relay(tmp_path, holder="test")


@pytest.fixture
def hour(relay: Relay, held: Held) -> Turn:
    """An hour of the relay: an entry, its seal, its signed line. Three have passed."""

    def passes() -> None:
        audit_record(action="limit.changed", target="limit:x", actor="test", after={"v": 1})
        relay._signs_next(0.0)
        relay._seal(held)
        relay._sign()

    for _ in range(3):
        passes()
    return passes


@pytest.fixture
def log(relay: Relay) -> Path:
    return relay.signed.path


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def problem() -> str:
    verdict = audit_verified_now()
    assert not verdict.ok
    return verdict.problem


def signed_entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=SIGNED).order_by("pk"))


def test_the_relay_makes_the_key_once_and_signs_the_newest_seal(hour: Turn, log: Path, relay: Relay) -> None:
    key, public = log.parent / "signing.key", log.parent / "signing.pub"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    seals = list(AuditSeal.objects.order_by("pk"))
    lines = lines_of(log)
    assert [(line["seal"], line["hash"]) for line in lines] == [(seal.pk, seal.hash) for seal in seals]
    # Each line is itself an entry, sealed with the next hour.
    assert [line["entries"] for line in lines] == [1, 3, 5]
    for line in lines:
        assert line["public_key"] == public.read_text().strip()
        text = "\n".join(str(line[name]) for name in ("seal", "hash", "entries", "at", "public_key"))
        assert is_signed_by(line["public_key"], HEAD, text, line["signature"])
        assert not is_signed_by(line["public_key"], "nautilus.audit.export.1", text, line["signature"])
    digests = [hashlib.sha256(line.encode()).hexdigest() for line in log.read_text().splitlines()]
    assert [entry.after["sha256"] for entry in signed_entries()] == digests
    before = key.read_bytes()
    assert signer_made(log.parent).public_key == public.read_text().strip()
    assert key.read_bytes() == before
    assert audit_verified_now().ok


def test_it_signs_the_first_seal_after_a_start_and_then_once_an_hour(
    hour: Turn, held: Held, log: Path, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    successor = Relay(log.parent.parent, holder="test")
    for _ in range(3):
        audit_record(action="x", target="x", actor="test")
        successor._seal(held)
        successor._sign()
    assert len(lines_of(log)) == 4
    with monkeypatch.context() as patch:
        patch.setattr(relay_module, "time", _Later(time.monotonic() + 3601))
        successor._sign()
    assert len(lines_of(log)) == 5
    assert lines_of(log)[-1]["seal"] == AuditSeal.objects.latest("pk").pk
    successor._signs_next(0.0)
    successor._sign()
    assert len(lines_of(log)) == 5, "nothing new was sealed"
    audit_record(action="x", target="x", actor="test")
    successor._seal(held)
    successor._signs_next(3600.0)
    monkeypatch.setattr(relay_module, "now", lambda: now() + timedelta(seconds=3601))
    successor._sign()
    assert len(lines_of(log)) == 6, "the machine slept, and one of the clocks with it"


class _Later:
    def __init__(self, at: float) -> None:
        self.at = at

    def monotonic(self) -> float:
        return self.at


def test_what_could_not_be_signed_is_signed_later_and_nothing_is_delayed_by_it(
    hour: Turn, log: Path, relay: Relay, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(relay.signed, "sign", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        hour()
    assert (len(lines_of(log)), AuditSeal.objects.count()) == (3, 4)
    relay._signs_next(0.0)
    relay._sign()
    assert lines_of(log)[-1]["seal"] == AuditSeal.objects.latest("pk").pk
    assert audit_verified_now().ok


@pytest.mark.parametrize("name", ["seal", "hash", "entries", "at", "public_key", "signature"])
def test_a_line_that_was_edited_is_found(hour: Turn, log: Path, name: str) -> None:
    told = lines_of(log)
    other = {
        "seal": told[1]["seal"] + 1,
        "entries": told[1]["entries"] + 1,
        "at": told[2]["at"],
        "hash": told[2]["hash"],
        "public_key": "0" * 64,
        "signature": told[2]["signature"],
    }
    told[1][name] = other[name]
    log.write_text("".join(json.dumps(line) + "\n" for line in told))
    said = f"the line of seal {told[1]['seal']} in signed.log is not signed by the key of this installation"
    assert problem() == said


def test_any_other_spelling_of_a_line_is_found(hour: Turn, log: Path) -> None:
    whole = log.read_text()
    told = lines_of(log)
    upper = whole.replace(told[0]["signature"], told[0]["signature"].upper())
    for text in (upper, whole.replace(", ", ",", 1), whole.replace('{"seal"', '{"x": 1, "seal"', 1)):
        log.write_text(text)
        assert "is not signed by the key" in problem()
    log.write_text("x" + whole)
    assert problem().startswith(f"the signed line of seal {told[0]['seal']} is gone from signed.log")
    log.write_text(whole)
    assert audit_verified_now().ok


@pytest.mark.parametrize("kept", [[], [1, 2], [0, 2], [0, 1]])
def test_a_line_that_was_removed_is_missed_by_the_trail_also_after_the_next_one(
    hour: Turn, log: Path, kept: list[int]
) -> None:
    whole = log.read_text().splitlines(keepends=True)
    gone = next(n for n in range(3) if n not in kept)
    seal, entry = json.loads(whole[gone])["seal"], signed_entries()[gone].pk
    log.write_text("".join(whole[n] for n in kept))
    for _ in range(2):
        verdict = audit_verified_now()
        said = f"the signed line of seal {seal} is gone from signed.log, or was changed"
        assert (verdict.ok, verdict.first_bad_id, verdict.problem) == (False, entry, said)
        hour()
    log.unlink()
    assert "is gone from signed.log" in problem()


def test_a_line_forged_with_another_key_is_found_also_where_it_says_ours(hour: Turn, log: Path) -> None:
    newest = AuditSeal.objects.latest("pk")
    whole, ours = log.read_text(), (log.parent / "signing.pub").read_text().strip()
    for told in (None, ours):
        forger = _signer()
        line = lines_of(log)[-1] | {"public_key": told or forger.public_key, "seal": newest.pk, "entries": 99}
        text = "\n".join(str(line[name]) for name in ("seal", "hash", "entries", "at", "public_key"))
        log.write_text(whole + json.dumps(line | {"signature": forger.sign(HEAD, text)}) + "\n")
        assert "is not signed by the key of this installation" in problem()
        log.write_text(whole)
    assert audit_verified_now().ok


def _signer() -> Signer:
    from nacl.signing import SigningKey

    return Signer(SigningKey.generate())


def test_a_pair_put_in_the_place_of_ours_with_every_line_signed_anew_is_found(hour: Turn, log: Path) -> None:
    heads = list(_heads(log))
    for name in ("signing.key", "signing.pub", "signed.log"):
        (log.parent / name).unlink()
    forger = signer_made(log.parent)
    lines = []
    for head in heads:
        line = {"seal": head.seal, "hash": head.hash, "entries": head.entries}
        line |= {"at": head.at.isoformat(timespec="microseconds"), "public_key": forger.public_key}
        lines.append(
            line | {"signature": forger.sign(HEAD, head._replace(public_key=forger.public_key).text())}
        )
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "is gone from signed.log, or was changed" in problem()


def _heads(log: Path) -> list[SignedHead]:
    from nautilus_site.common.services.audit_signed_heads import SignedHeads

    return list(SignedHeads(log.parent).lines())


def test_a_link_that_was_signed_and_is_not_in_the_chain_is_found(hour: Turn, log: Path, relay: Relay) -> None:
    key = signer_there(log.parent)
    assert key is not None
    newest = AuditSeal.objects.latest("pk")
    newest.hash = "f" * 64  # as a chain that was rewritten since
    relay.signed.sign(newest, key)
    assert problem() == f"seal {newest.pk} as it was signed is not in the chain"


def test_the_job_finds_it_too(hour: Turn, log: Path, risk_officer: User) -> None:
    log.write_text(log.read_text().replace('"entries": 3', '"entries": 4'))
    row = verification_start(actor=risk_officer)
    verification_step(verification_id=row.pk)
    row.refresh_from_db()
    assert (row.state, "is not signed by the key" in row.problem) == ("broken", True)


def test_a_relay_that_no_longer_signs_is_found_once_its_hour_is_over(
    hour: Turn, log: Path, relay: Relay, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SIGN_EVERY", "LATE", "FRESH"):
        monkeypatch.setattr(audit_signed_proof, name, timedelta(0))
    assert audit_verified_now().ok
    audit_record(action="x", target="x", actor="test")
    relay._seal(held)
    assert problem().startswith("nothing was signed since ")
    monkeypatch.setattr(audit_signed_proof, "SIGN_EVERY", timedelta(hours=1))
    assert audit_verified_now().ok


def test_a_key_that_is_gone_is_not_replaced_by_itself_and_its_public_half_still_checks(
    hour: Turn, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = log.parent / "signing.key"
    kept = key.read_bytes()
    key.unlink()
    hour()
    assert (len(lines_of(log)), key.exists()) == (3, False)
    assert audit_verified_now().ok
    key.write_bytes(kept)
    hour()
    assert len(lines_of(log)) == 4
    call_command("audit", "key")
    assert capsys.readouterr().out.strip() == lines_of(log)[0]["public_key"]
    (log.parent / "signing.pub").unlink()
    assert "and signing.pub is not there" in problem()
    hour()
    assert audit_verified_now().ok, "it is the other half of the key that is there"
    (log.parent / "signing.pub").write_text("0" * 64)
    hour()
    assert len(lines_of(log)) == 5
    with pytest.raises(CommandError, match="not the other half"):
        call_command("audit", "key")


def test_two_people_accept_the_lines_of_a_key_that_is_lost_and_nothing_else(
    hour: Turn, log: Path, risk_officer: User, second_risk_officer: User
) -> None:
    for name in ("signing.key", "signing.pub"):
        (log.parent / name).unlink()
    hour()  # with a new pair
    assert len({line["public_key"] for line in lines_of(log)}) == 2
    assert "is not signed by the key of this installation" in problem()
    request = change_request_create(
        kind=KIND, target=TARGET, payload={}, reason="the disk with the key died", requester=risk_officer
    )
    seals = [line["seal"] for line in lines_of(log)]
    assert request.payload["unsigned_lines"] == f"3, from {seals[0]} to {seals[2]}"
    change_request_approve(request_id=request.pk, approver=second_risk_officer)
    verdict = audit_verified_now()
    assert verdict.ok
    assert verdict.accepted[0].startswith("0 rows and 3 signed lines known lost, accepted by risk and risk2")
    told = lines_of(log)
    told[0]["entries"] += 1
    log.write_text("".join(json.dumps(line) + "\n" for line in told))
    assert "is not signed by the key of this installation" in problem(), "it was accepted as it stood"


def test_a_restore_is_accepted_with_its_seals_and_the_lines_of_them(
    hour: Turn, log: Path, risk_officer: User, second_risk_officer: User
) -> None:
    last = AuditSeal.objects.latest("pk")
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM common_unsealedentry")
        cursor.execute("DELETE FROM common_auditentry WHERE id >= %s", [last.entry_ids[0]])
        cursor.execute("DELETE FROM common_auditseal WHERE id = %s", [last.pk])
    assert str(last.pk) in problem()
    request = change_request_create(
        kind=KIND, target=TARGET, payload={}, reason="restored", requester=risk_officer
    )
    assert "unsigned_lines" not in request.payload, "the lost seal explains its line"
    change_request_approve(request_id=request.pk, approver=second_risk_officer)
    # The line before it was told of by an entry of the lost seal: it holds by its signature.
    assert audit_verified_now().ok
    hour()
    assert audit_verified_now().ok


def test_a_torn_line_is_no_line_and_the_next_one_is_whole(hour: Turn, log: Path) -> None:
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"seal": 4, "ha')
    assert audit_verified_now().ok
    hour()
    assert len(log.read_text().splitlines()) == 5
    assert audit_verified_now().ok


def test_a_trail_that_was_never_signed_verifies(relay: Relay, held: Held) -> None:
    audit_record(action="x", target="x", actor="test")
    relay._seal(held)
    assert audit_verified_now().ok
    with pytest.raises(CommandError, match="none on this host"):
        call_command("audit", "key")
