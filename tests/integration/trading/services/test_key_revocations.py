"""One person stops the use of a key: nothing new is sent, the watchdog cancels with its own, two bring another in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from governance.domain.notices import Severity, notice_of
from governance.selectors.people import key_rows
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, OutboxEvent, User
from nautilus_site.common.services.change_requests import change_request_approve
from trading.daemons.watchdog import Watchdog
from trading.domain.values import Level
from trading.models import CandidateKey, Credential, TradingState
from trading.services.credential_changes import credential_request
from trading.services.credentials import credential_open, credential_store, sealing_keys_install
from trading.services.execution.drain import orders_drain
from trading.services.key_revocations import STOPS, key_revoke
from trading.services.venues import execution_venue

if TYPE_CHECKING:
    from tests.factories.trading import Desk

SECRET = "canary-secret-0123456789"
PURPOSES = list(Credential.Purpose.values)


@pytest.fixture
def keyed(desk: Desk, settings: Any, tmp_path: Path) -> Desk:
    settings.NAUTILUS_HOME = tmp_path
    sealing_keys_install()
    for purpose in PURPOSES:
        credential_store(
            account=desk.account,
            purpose=purpose,
            api_key=f"{purpose}-key-1234",
            api_secret=SECRET,
            actor="test",
        )
    return desk


def revoke(actor: User, purpose: str = "executor", **changes: Any) -> Credential:
    row = Credential.objects.get(purpose=purpose)
    given = {"credential_id": row.pk, "last_four": row.last_four, "actor": actor, "reason": "it leaked"}
    return key_revoke(**{**given, **changes})


def level(scope: str = "account:desk") -> Level:
    row = TradingState.objects.filter(scope=scope).first()
    return Level(row.level) if row is not None else Level.ACTIVE


def test_nothing_is_sent_any_more_and_the_watchdog_cancels_with_its_own_key(
    keyed: Desk, risk_officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting = keyed.send(keyed.submit("BUY", "0.001", price="59800"))
    waiting = keyed.submit("BUY", "0.001", price="59700")
    revoke(risk_officer)
    assert level() == Level.CANCEL
    with pytest.raises(ApplicationError) as refused:
        execution_venue(keyed.account)
    assert refused.value.code == "NO_CREDENTIAL"
    assert orders_drain(account_id=keyed.account.pk, shard=keyed.fresh(waiting).shard) == 0
    used: list[str] = []

    def venue(account: Any, purpose: str) -> Any:
        credential_open(account=account, purpose=purpose)
        used.append(purpose)
        return keyed.venue

    monkeypatch.setattr("trading.daemons.watchdog.execution_venue", venue)
    Watchdog().round()
    assert keyed.fresh(resting).status == "CANCELED"
    assert keyed.fresh(waiting).status not in ("RESERVED", "SENDING", "NEW"), "what was not sent never is"
    assert set(used) == {"watchdog"}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_each_key_stops_what_must_not_go_on_without_it(keyed: Desk, admin_person: User, purpose: str) -> None:
    row = revoke(admin_person, purpose)
    assert level() == (STOPS[purpose] or Level.ACTIVE)
    assert (bytes(row.sealed_secret), row.revoked_by) == (b"", "admin")
    with pytest.raises(ApplicationError):
        credential_open(account=keyed.account, purpose=purpose)
    for other in set(PURPOSES) - {purpose}:
        credential_open(account=keyed.account, purpose=other)
    shown = next(row for row in key_rows() if row["purpose"] == purpose)
    assert shown["use"] == {"tone": "bad", "text": "revoked by admin"}
    entry = AuditEntry.objects.get(action="credential.revoked")
    assert (entry.target, entry.reason, entry.actor_name) == (f"desk:{purpose}", "it leaked", "admin")
    event = OutboxEvent.objects.get(topic="approvals", data__kind="credential")
    notice = notice_of("approvals", event.data)
    assert notice is not None
    assert (notice.kind, notice.severity) == ("key.revoked", Severity.critical)


def test_it_never_lowers_a_level(keyed: Desk, risk_officer: User) -> None:
    keyed.kill(Level.FLATTEN, "account:desk")
    revoke(risk_officer, "feed")
    assert level() == Level.FLATTEN


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"last_four": "0000"}, "KEY_REPLACED"),
        ({"reason": " "}, "REASON_REQUIRED"),
        ({"credential_id": 0}, "KEY_NOT_FOUND"),
    ],
)
def test_what_is_refused_changes_nothing(
    keyed: Desk, risk_officer: User, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(ApplicationError) as refused:
        revoke(risk_officer, **changes)
    assert refused.value.code == code
    assert (level(), Credential.objects.filter(revoked_at=None).count()) == (Level.ACTIVE, len(PURPOSES))


def test_others_may_not_and_twice_is_once(
    keyed: Desk, trader: User, model_owner: User, risk_officer: User
) -> None:
    for person in (trader, model_owner):
        with pytest.raises(ApplicationError) as refused:
            revoke(person)
        assert refused.value.status == 403
    assert level() == Level.ACTIVE, "a level raised on the way is taken back with the rest"
    revoke(risk_officer)
    with pytest.raises(ApplicationError) as refused:
        revoke(risk_officer)
    assert refused.value.code == "KEY_REVOKED"


def test_the_same_key_does_not_come_back_by_an_approval_of_before_and_another_does_by_two(
    keyed: Desk, admin_person: User, risk_officer: User
) -> None:
    def approved(api_key: str) -> CandidateKey:
        asked = credential_request(
            account="desk", purpose="executor", api_key=api_key, api_secret=SECRET,
            requester=admin_person, reason="rotation",
        )  # fmt: skip
        change_request_approve(request_id=asked.pk, approver=risk_officer)
        return CandidateKey.objects.get(approval=asked.pk)

    same = approved("executor-key-1234")
    revoke(risk_officer)
    same.refresh_from_db()
    assert (same.state, bytes(same.sealed_secret)) == ("superseded", b"")
    other = approved("another-key-0005678")
    assert other.state == "waiting"
    credential_store(
        account=keyed.account,
        purpose="executor",
        api_key="another-key-0005678",
        api_secret=SECRET,
        actor="test",
    )
    row = Credential.objects.get(purpose="executor")
    assert (row.revoked_at, row.revoked_by) == (None, "")
    assert level() == Level.CANCEL, "another key alone resumes nothing"
    assert row.created_at <= now()
