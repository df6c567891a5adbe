"""One key, one execution: replays, conflicts, crashes, and two hundred requests at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, IdempotencyRecord, User
from tests.integration.common.toy_urls import Orders

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]

PATH = "/api/v1/toy/orders"
ORDER = {"symbol": "BTCUSDT", "quantity": "1"}


@pytest.fixture(autouse=True)
def _toy(clean_cache: None) -> Iterator[None]:
    yield
    Orders.work_s, Orders.fail_next = 0.0, 0


@pytest.fixture
def client(trader: User, token_client: Callable[..., APIClient]) -> APIClient:
    return token_client(trader)


def post(client: APIClient, key: str | None = "key-1", body: dict[str, str] = ORDER) -> Any:
    headers = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key}
    return client.post(PATH, body, format="json", **headers)


def executions() -> int:
    return AuditEntry.objects.filter(action="toy.executed").count()


def test_a_replay_is_200_with_the_same_bytes(client: APIClient) -> None:
    first, again = post(client), post(client)
    assert (first.status_code, again.status_code) == (201, 200)
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert again.content == first.content
    assert executions() == 1


def test_the_order_of_members_does_not_make_another_body(client: APIClient) -> None:
    post(client)
    assert post(client, body=dict(reversed(ORDER.items()))).status_code == 200


def test_another_body_under_the_same_key_is_a_conflict(client: APIClient) -> None:
    post(client)
    response = post(client, body={**ORDER, "quantity": "2"})
    assert (response.status_code, response.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert executions() == 1


def test_keys_belong_to_their_user(client: APIClient, make_user: Any, token_client: Any) -> None:
    post(client)
    assert post(token_client(make_user("trader"))).status_code == 201
    assert executions() == 2


def test_a_required_key_must_be_there_and_well_formed(client: APIClient) -> None:
    assert post(client, key=None).json()["code"] == "IDEMPOTENCY_KEY_REQUIRED"
    for bad in ("", "with space", "k" * 256, "tab\t"):
        assert post(client, key=bad).json()["code"] == "IDEMPOTENCY_KEY_INVALID", bad
    assert post(client, key="k" * 255).status_code == 201


def test_a_denial_is_an_answer_and_is_replayed(client: APIClient) -> None:
    body = {**ORDER, "symbol": "DENIEDUSDT"}
    first, again = post(client, body=body), post(client, body=body)
    assert (first.status_code, again.status_code) == (422, 422)
    assert again["Content-Type"] == "application/problem+json"
    assert json.loads(again.content) == json.loads(first.content)
    assert executions() == 1


def test_a_failure_is_no_answer_so_the_retry_tries_again_under_the_same_unique_key(client: APIClient) -> None:
    Orders.fail_next = 1
    assert post(client).status_code == 503
    record = IdempotencyRecord.objects.get()
    assert (record.status, record.claimed_at) == (None, None)
    second = post(client)
    assert second.status_code == 201
    assert second.json()["alpha"] == f"idem-{record.pk}"


def test_a_crashed_attempt_is_taken_over_after_a_minute(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nautilus_site.common.api.idempotency.WAIT_S", 0.2)
    post(client)
    crashed_at = now() - timedelta(seconds=55)
    IdempotencyRecord.objects.update(status=None, body=None, completed_at=None, claimed_at=crashed_at)
    waiting = post(client)
    assert (waiting.status_code, waiting.json()["code"]) == (409, "IDEMPOTENCY_IN_FLIGHT")
    IdempotencyRecord.objects.update(claimed_at=now() - timedelta(seconds=61))
    assert post(client).status_code == 201
    assert IdempotencyRecord.objects.get().attempt == 2


@pytest.mark.django_db(transaction=True)
def test_two_hundred_posts_of_one_key_execute_once(
    trader: User, token_client: Callable[..., APIClient]
) -> None:
    Orders.work_s = 0.3  # long enough that the others arrive while the first is in flight
    client = token_client(trader)
    credentials = client._credentials

    def one(_: int) -> tuple[int, bytes, bool]:
        try:
            mine = APIClient()
            mine.credentials(**credentials)
            response = post(mine, key="shared")
            return response.status_code, response.content, "Idempotency-Replayed" in response
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=40) as pool:
        answers = list(pool.map(one, range(200)))
    assert Counter(status for status, _, _ in answers) == {201: 1, 200: 199}
    assert len({content for _, content, _ in answers}) == 1
    assert sum(replayed for _, _, replayed in answers) == 199
    assert executions() == 1
    connection.close()
