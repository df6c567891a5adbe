"""Exchange keys change by two people, and their secrets are in nothing that is shown, kept or sent on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.models import AuditEntry, ChangeRequest, OutboxEvent, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from trading.models import Credential
from trading.services.credentials import credential_open, credential_store, sealing_keys_install
from trading.services.key_probes import key_probe, keys_to_probe

pytestmark = pytest.mark.urls("nautilus_site.urls")
Clients = Callable[..., APIClient]
SECRET = "CANARY-secret-of-the-new-key-0123456789"
ASKED = {"account": "desk", "purpose": "feed", "api_key": "newkey-0123456789-wxyz", "reason": "rotation"}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, settings: Any, clean_cache: None) -> None:
    settings.NAUTILUS_HOME = tmp_path
    sealing_keys_install()


def ask(client: APIClient, **changes: Any) -> Any:
    body = {**ASKED, "api_secret": SECRET, **changes}
    return client.post("/api/v1/credentials", body, format="json")


def probe(desk: Desk) -> str:
    """What a worker makes of the approved key; the desk's venue answers."""
    (candidate,) = keys_to_probe()
    return key_probe(candidate_id=candidate, connect=lambda account, key, secret: desk.venue)


def test_an_admin_asks_a_risk_officer_approves_and_the_new_key_opens(
    desk: Desk, admin_person: User, risk_officer: User, token_client: Clients
) -> None:
    credential_store(
        account=desk.account, purpose="feed", api_key="oldkey-0123456789-abcd", api_secret="s", actor="test"
    )
    answer = ask(token_client(admin_person))
    assert answer.status_code == 202, answer.content
    assert answer.json()["diff"] == {"key ends in": ["abcd", "wxyz"]}
    assert credential_open(account=desk.account, purpose="feed")[0] == "oldkey-0123456789-abcd"
    change_request_approve(request_id=answer.json()["id"], approver=risk_officer)
    assert credential_open(account=desk.account, purpose="feed")[0] == "oldkey-0123456789-abcd"
    assert probe(desk) == "in_use"
    assert credential_open(account=desk.account, purpose="feed") == (ASKED["api_key"], SECRET)
    listed = token_client(admin_person).get("/api/v1/credentials").json()["results"]
    assert [(row["purpose"], row["last_four"]) for row in listed if row["account"] == "desk"] == [
        ("feed", "wxyz")
    ]


def test_the_secret_is_nowhere_but_sealed(
    desk: Desk, admin_person: User, risk_officer: User, token_client: Clients
) -> None:
    answer = ask(token_client(admin_person))
    change_request_approve(request_id=answer.json()["id"], approver=risk_officer)
    assert probe(desk) == "in_use"
    request = ChangeRequest.objects.get()
    told = [
        answer.content.decode(),
        json.dumps(list(AuditEntry.objects.values("action", "before", "after", "reason")), default=str),
        json.dumps(list(OutboxEvent.objects.values_list("data", flat=True)), default=str),
        json.dumps([request.payload, request.diff, request.effect]),
    ]
    assert not any(SECRET in text for text in told)
    assert not any(request.payload["sealed"] in text for text in told[:3])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"account": "nobody"}, 404),
        ({"purpose": "withdraw"}, 400),
        ({"api_key": "short"}, 400),
        ({"api_key": "with spaces in the key"}, 400),
        ({"api_secret": "short"}, 400),
        ({"reason": " "}, 400),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_repeating_it(
    desk: Desk, admin_person: User, token_client: Clients, changes: dict[str, Any], status: int
) -> None:
    answer = ask(token_client(admin_person), **changes)
    assert answer.status_code == status
    assert SECRET not in answer.content.decode()
    assert not ChangeRequest.objects.exists()


def test_a_request_is_void_once_another_key_is_in_use(
    desk: Desk, admin_person: User, risk_officer: User, token_client: Clients
) -> None:
    answer = ask(token_client(admin_person))
    credential_store(account=desk.account, purpose="feed", api_key="k" * 20, api_secret="s", actor="test")
    with pytest.raises(Exception, match="changed after"):
        change_request_approve(request_id=answer.json()["id"], approver=risk_officer)
    assert Credential.objects.get(account=desk.account, purpose="feed").api_key == "k" * 20
