"""An approved key is looked at on the paper exchange before it is used; the key before it trades on until then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from governance.selectors.people import key_rows
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.exchange import Exchange, FuturesExchange, running_exchange
from trading.domain.errors import VenueUnavailable
from trading.models import Account, BreakerSample, CandidateKey, Credential
from trading.selectors.credentials import candidates_newest
from trading.services import credentials
from trading.services.credential_changes import credential_request
from trading.services.credentials import credential_open, credential_store, sealing_keys_install
from trading.services.key_probes import RETRY, key_probe, keys_to_probe
from trading.services.venues import execution_venue, probing_venue
from universe.models import Venue

TRADES = {"read": True, "trade": True, "withdraw": False, "ip_restricted": True}
READS = {**TRADES, "trade": False}
NO_TRADE = {**READS, "futures": False}
"""Of USD-M such a key cannot even read."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


class Rig:
    """An account on the exchange whose executor key is in use."""

    def __init__(self, exchange: Exchange, market: str, people: tuple[User, User]) -> None:
        self.exchange, self.people = exchange, people
        venue = Venue.objects.create(name=f"binance-{market}", market=market, environment="local")
        self.account = Account.objects.create(name="desk", venue=venue)
        for purpose in ("executor", "feed"):
            credential_store(account=self.account, purpose=purpose, **exchange.key, actor="test")

    def key(self, permissions: dict[str, Any]) -> dict[str, str]:
        """Another key of the same account at the exchange."""
        account_id = self.exchange.account["account_id"]
        made = self.exchange.control("POST", f"/accounts/{account_id}/keys", {"permissions": permissions})
        return {name: made[name] for name in ("api_key", "api_secret")}

    def approved(self, key: dict[str, str], purpose: str = "executor") -> CandidateKey:
        asked = credential_request(
            account="desk", purpose=purpose, **key, requester=self.people[0], reason="rotation"
        )
        change_request_approve(request_id=asked.pk, approver=self.people[1])
        return CandidateKey.objects.get(approval=asked.pk)

    def probe(self) -> str:
        (candidate,) = keys_to_probe()
        return key_probe(candidate_id=candidate, connect=probing_venue)

    def in_use(self, purpose: str = "executor") -> str:
        return credential_open(account=self.account, purpose=purpose)[0]


@pytest.fixture(params=["spot", "usdm"])
def rig(
    request: pytest.FixtureRequest,
    url: str,
    settings: Any,
    tmp_path: Path,
    admin_person: User,
    risk_officer: User,
) -> Rig:
    settings.NAUTILUS_HOME, settings.TESTNET_URL = tmp_path, url
    sealing_keys_install()
    exchange = (Exchange if request.param == "spot" else FuturesExchange)(url)
    return Rig(exchange, request.param, (admin_person, risk_officer))


def test_a_key_in_order_takes_over_without_a_restart_and_not_before_it_was_looked_at(rig: Rig) -> None:
    old, new = rig.in_use(), rig.key(TRADES)
    before = execution_venue(rig.account)
    candidate = rig.approved(new)
    assert (candidate.state, rig.in_use()) == ("waiting", old)
    assert execution_venue(rig.account) is before
    assert rig.probe() == "in_use"
    assert rig.in_use() == new["api_key"]
    after = execution_venue(rig.account)
    assert after is not before
    after.balances()
    candidate.refresh_from_db()
    assert bytes(candidate.sealed_secret) == b"", "kept once, where it is used"
    entry = AuditEntry.objects.get(action="credential.replaced")
    assert (entry.actor_name, entry.before["last_four"]) == ("admin and risk", old[-4:])
    assert "enableReading" in entry.after["may"]
    assert new["api_key"] not in str(vars(entry))
    assert keys_to_probe() == []
    row = next(row for row in key_rows() if row["purpose"] == "executor")
    assert row["probe"] == {"tone": "good", "text": f"…{new['api_key'][-4:]} was looked at and is in use"}


@pytest.mark.parametrize(
    ("permissions", "purpose", "why"),
    [
        ({**TRADES, "withdraw": True}, "executor", "enableWithdrawals"),
        ({**READS, "withdraw": True}, "feed", "enableWithdrawals"),
        (NO_TRADE, "executor", "lacks enableSpot|refuses the key: -2015"),
    ],
)
def test_a_key_that_may_do_more_or_less_than_it_should_is_refused_and_the_old_one_stays(
    rig: Rig, permissions: dict[str, Any], purpose: str, why: str
) -> None:
    old = rig.in_use(purpose)
    candidate = rig.approved(rig.key(permissions), purpose)
    assert (rig.probe(), rig.in_use(purpose)) == ("refused", old)
    candidate.refresh_from_db()
    assert re.search(why, candidate.result)
    assert bytes(candidate.sealed_secret) == b""
    entry = AuditEntry.objects.get(action="credential.refused")
    assert re.search(why, entry.reason)
    row = next(row for row in key_rows() if row["purpose"] == purpose)
    assert row["probe"]["tone"] == "bad"
    assert re.search(why, row["probe"]["text"])


def test_a_key_that_only_reads_is_what_a_purpose_that_only_reads_takes(rig: Rig) -> None:
    new = rig.key(READS)
    rig.approved(new, "feed")
    assert (rig.probe(), rig.in_use("feed")) == ("in_use", new["api_key"])


def test_a_right_nobody_knows_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = rig.approved(rig.key(TRADES))
    known = probing_venue(rig.account, **_names(rig.exchange.key)).key_permissions()
    kind = type(probing_venue(rig.account, **_names(rig.exchange.key)))
    monkeypatch.setattr(kind, "key_permissions", lambda self: {**(known or {}), "enableLending": True})
    assert rig.probe() == "refused"
    candidate.refresh_from_db()
    assert candidate.result == "the key has enableLending, which we do not know"


def test_a_key_of_another_account_at_the_exchange_is_refused_and_the_old_one_stays(
    rig: Rig, url: str
) -> None:
    """Two accounts of one exchange: the second one's key signs, reads and may trade, and is not ours."""
    old, other = rig.in_use(), type(rig.exchange)(url)
    made = other.control("POST", f"/accounts/{other.account['account_id']}/keys", {"permissions": TRADES})
    stranger = {name: made[name] for name in ("api_key", "api_secret")}
    for purpose in ("executor", "feed", "watchdog"):
        before = Credential.objects.filter(purpose=purpose).values_list("api_key", flat=True).first()
        candidate = rig.approved(stranger, purpose)
        assert rig.probe() == "refused"
        candidate.refresh_from_db()
        assert re.search(
            r"of another account at the exchange \((uid|alias) \w+\) than desk \((uid|alias) \w+\)",
            candidate.result,
        )
        after = Credential.objects.filter(purpose=purpose).values_list("api_key", flat=True).first()
        assert after == before, "the first key of a purpose is compared with those of the others"
    row = next(row for row in key_rows() if row["purpose"] == "executor")
    assert "another account" in row["probe"]["text"]
    own = rig.key(TRADES)
    rig.approved(own)
    assert (rig.probe(), rig.in_use()) == ("in_use", own["api_key"])
    assert old != own["api_key"]


def test_the_account_is_known_by_its_first_key_and_kept_when_that_is_revoked(rig: Rig, url: str) -> None:
    stranger = type(rig.exchange)(url).key
    Credential.objects.all().delete()
    rig.approved(rig.key(TRADES))
    assert rig.probe() == "in_use", "nothing to compare the first key with"
    kept = Account.objects.get().venue_identity
    assert kept
    Credential.objects.update(api_key="revoked-at-the-exchange-0001")
    candidate = rig.approved(stranger, "feed")
    assert rig.probe() == "refused"
    candidate.refresh_from_db()
    assert kept in candidate.result
    Account.objects.update(venue_identity="")
    candidate = rig.approved(rig.key(TRADES), "feed")
    assert rig.probe() == "refused", "nothing is left that tells whose key it is"
    candidate.refresh_from_db()
    assert "no key in use tells" in candidate.result


def _names(key: dict[str, str]) -> dict[str, str]:
    return {"api_key": key["api_key"], "secret": key["api_secret"]}


def test_a_secret_that_does_not_sign_is_refused_and_nothing_counts_as_our_own_key_refused(rig: Rig) -> None:
    old, new = rig.in_use(), rig.key(TRADES)
    candidate = rig.approved({**new, "api_secret": "another-secret-than-the-keys-own"})
    assert (rig.probe(), rig.in_use()) == ("refused", old)
    candidate.refresh_from_db()
    assert "the exchange refuses the key" in candidate.result
    candidate = rig.approved({"api_key": "nobodys-key-0123456789", "api_secret": "nobodys-secret-0123456789"})
    assert (rig.probe(), rig.in_use()) == ("refused", old)
    assert not BreakerSample.objects.filter(name="key_rejected").exists(), (
        "trading is not halted by a typing error"
    )


def test_while_the_exchange_does_not_answer_the_key_waits_and_is_given_up_after_a_day(rig: Rig) -> None:
    candidate = rig.approved(rig.key(TRADES))

    def silent(*_: object) -> Any:
        raise VenueUnavailable(None, "no answer")

    def probe() -> str:
        return key_probe(candidate_id=candidate.pk, connect=silent)

    old = rig.in_use()
    assert (probe(), rig.in_use()) == ("waiting", old)
    candidate.refresh_from_db()
    assert "did not answer" in candidate.result
    assert keys_to_probe() == [], "not at once again"
    CandidateKey.objects.update(retry_at=now() - timedelta(seconds=1))
    assert keys_to_probe() == [candidate.pk]
    assert candidate.retry_at is not None
    assert candidate.retry_at - now() <= RETRY
    CandidateKey.objects.update(created_at=now() - timedelta(hours=25))
    assert (probe(), rig.in_use()) == ("refused", old)


def test_a_newer_approved_key_takes_the_place_of_one_that_waits(rig: Rig) -> None:
    first, second = rig.key(TRADES), rig.key(TRADES)
    earlier = rig.approved(first)
    rig.approved(second)
    earlier.refresh_from_db()
    assert (earlier.state, bytes(earlier.sealed_secret)) == ("superseded", b"")
    assert (rig.probe(), rig.in_use()) == ("in_use", second["api_key"])
    assert candidates_newest()[rig.account.pk, "executor"].last_four == second["api_key"][-4:]


def test_the_web_process_cannot_look_at_a_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    old, candidate = rig.in_use(), rig.approved(rig.key(TRADES))
    monkeypatch.setattr(credentials, "process_kind", lambda: "web")
    with pytest.raises(ApplicationError, match="may not open"):
        key_probe(candidate_id=candidate.pk, connect=probing_venue)
    assert CandidateKey.objects.get().state == "waiting"
    assert Credential.objects.get(purpose="executor").api_key == old
