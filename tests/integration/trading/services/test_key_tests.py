"""A key in use is looked at when somebody asks; what is found is shown with its age and changes nothing by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.selectors.people import key_rows
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, User
from tests.integration.trading.services.test_key_probes import NO_TRADE, TRADES, Rig
from tests.integration.trading.services.test_key_probes import rig as rig
from tests.integration.trading.services.test_key_probes import url as url
from trading.domain.errors import VenueUnavailable
from trading.models import Credential, RiskLimit
from trading.services import credentials
from trading.services.credentials import credential_store
from trading.services.key_probes import keys_to_probe
from trading.services.key_rotations import keys_due_tell
from trading.services.key_tests import key_test, key_test_ask, keys_to_test
from trading.services.venues import execution_venue, probing_venue

CANARY = "canary-secret-0123456789"


def ask(rig: Rig, actor: User, purpose: str = "executor") -> Credential:
    row = Credential.objects.get(account=rig.account, purpose=purpose)
    return key_test_ask(credential_id=row.pk, last_four=row.last_four, actor=actor)


def looked_at() -> str:
    (credential,) = keys_to_test()
    return key_test(credential_id=credential, connect=probing_venue)


def shown(purpose: str = "executor") -> dict[str, Any]:
    return next(row for row in key_rows() if row["purpose"] == purpose)


def test_a_key_in_order_is_said_to_be_with_what_it_may_and_how_long_ago_it_was_looked_at(
    rig: Rig, risk_officer: User
) -> None:
    credential_store(account=rig.account, purpose="executor", **rig.key(TRADES), actor="test")
    assert (shown()["test"]["text"], shown()["tested_age_s"]) == ("never", None)
    ask(rig, risk_officer)
    assert shown()["test"]["text"] == "is being looked at"
    assert looked_at() == ""
    assert keys_to_test() == []
    row = shown()
    assert row["test"]["tone"] == "good"
    assert "enableReading" in row["test"]["text"]
    assert 0 <= row["tested_age_s"] < 60
    entry = AuditEntry.objects.get(action="credential.tested")
    assert (entry.after["in_order"], entry.target) == (True, "desk:executor")
    execution_venue(rig.account).balances()


def test_a_key_that_cannot_trade_is_said_to_be_wrong_and_stays_in_use(rig: Rig, risk_officer: User) -> None:
    poor = rig.key(NO_TRADE)
    credential_store(account=rig.account, purpose="executor", **poor, actor="test")
    ask(rig, risk_officer)
    wrong = looked_at()
    assert wrong
    assert shown()["test"] == {"tone": "bad", "text": wrong}
    assert rig.in_use() == poor["api_key"]


def test_an_exchange_that_does_not_answer_is_an_answer_too(rig: Rig, admin_person: User) -> None:
    def down(*_: Any) -> Any:
        raise VenueUnavailable(None, "down")

    ask(rig, admin_person)
    (credential,) = keys_to_test()
    assert "did not answer" in key_test(credential_id=credential, connect=down)
    assert keys_to_test() == [], "whoever wants another look asks again"


def test_what_was_found_of_one_key_is_not_told_of_the_next(rig: Rig, risk_officer: User) -> None:
    row = ask(rig, risk_officer)

    def replaced(*given: Any) -> Any:
        credential_store(account=rig.account, purpose="executor", **rig.key(TRADES), actor="test")
        return probing_venue(*given)

    key_test(credential_id=row.pk, connect=replaced)
    assert shown()["test"]["text"] == "never"
    with pytest.raises(ApplicationError) as refused:
        key_test_ask(credential_id=row.pk, last_four=row.last_four, actor=risk_officer)
    assert refused.value.code == "KEY_REPLACED"


def test_only_those_who_may_ask_and_only_a_worker_looks(
    rig: Rig, trader: User, risk_officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ApplicationError) as refused:
        ask(rig, trader)
    assert refused.value.code == "PERMISSION_DENIED"
    row = ask(rig, risk_officer)
    monkeypatch.setattr(credentials, "process_kind", lambda: "web")
    with pytest.raises(ApplicationError) as refused:
        key_test(credential_id=row.pk, connect=probing_venue)
    assert refused.value.code == "NO_CREDENTIAL"
    assert keys_to_probe() == []


@pytest.mark.parametrize(
    ("days", "rotation", "tone"), [(75, "later", "off"), (77, "soon", "warn"), (90, "due", "bad")]
)
def test_a_key_is_due_by_the_limit_of_its_age_and_told_once(
    rig: Rig, days: int, rotation: str, tone: str
) -> None:
    RiskLimit.objects.update_or_create(
        name="key_max_age", scope="global",
        defaults={"value": 90, "unit": "days", "tighter": "lower", "changed_by": "test", "changed_at": now()},
    )  # fmt: skip
    Credential.objects.filter(purpose="executor").update(created_at=now() - timedelta(days=days, minutes=1))
    row = shown()
    assert (row["rotation"], row["rotation_due"]["tone"]) == (rotation, tone)
    assert keys_due_tell() == (1 if rotation == "due" else 0)
    assert keys_due_tell() == 0
    assert shown("feed")["rotation"] == "later"


def test_an_account_may_have_a_tighter_limit_and_without_any_it_is_ninety_days(rig: Rig) -> None:
    Credential.objects.update(created_at=now() - timedelta(days=60))
    assert shown()["rotation"] == "later"
    RiskLimit.objects.create(
        name="key_max_age", scope="account:desk", value=30, unit="days", tighter="lower",
        changed_by="test", changed_at=now(),
    )  # fmt: skip
    assert shown()["rotation"] == "due"
    RiskLimit.objects.filter(name="key_max_age").update(value=100_000)
    Credential.objects.update(created_at=now() - timedelta(days=90))
    assert shown()["rotation"] == "due", "a looser one beside the ninety days is none"
