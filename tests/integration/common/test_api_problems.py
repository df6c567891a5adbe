"""Every error of the API is a problem document with a stable code, and none shows our insides."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.api import throttling
from nautilus_site.common.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]

ORDERS = "/api/v1/toy/orders"


@pytest.fixture
def client(trader: User, token_client: Callable[..., APIClient], clean_cache: None) -> APIClient:
    return token_client(trader)


def post_raw(client: APIClient, body: bytes, content_type: str = "application/json") -> Any:
    return client.generic("POST", ORDERS, body, content_type=content_type, HTTP_IDEMPOTENCY_KEY="raw")


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert body["status"] == status
    assert body["code"] == code
    assert body["title"]
    assert body["detail"]
    assert body["type"].startswith("urn:nautilus:problem:")
    assert body["instance"].startswith("/api/v1/")
    return dict(body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"symbol": ', "not JSON"),
        (b'{"quantity": "1", "quantity": "100"}', "occurs twice"),
        (b'{"a": {"b": 1, "b": 2}}', "occurs twice"),
        (b'{"quantity": NaN}', "NaN"),
        (b'{"quantity": -Infinity}', "Infinity"),
        (b"[1, 2]", "expected a JSON object, was an array"),
        (b"null", "expected a JSON object, was null"),
        (b'{"symbol": "\xff"}', "not UTF-8"),
        (b'{"symbol": "a\\u0000b"}', "NUL"),
        (b'{"symbol": "\\ud800"}', "surrogate"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "too deeply"),
        (b'{"quantity": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_doubtful_json_is_malformed(client: APIClient, body: bytes, told: str) -> None:
    assert told in assert_problem(post_raw(client, body), 400, "MALFORMED_JSON")["detail"]


def test_a_body_over_one_mebibyte_is_refused(client: APIClient) -> None:
    body = b'{"symbol": "' + b"A" * (1024 * 1024) + b'"}'
    assert_problem(post_raw(client, body), 400, "BODY_TOO_LARGE")


def test_another_media_type_is_refused(client: APIClient) -> None:
    assert_problem(
        post_raw(client, b"symbol=BTCUSDT", "application/x-www-form-urlencoded"),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    )


def test_invalid_fields_are_named(client: APIClient) -> None:
    response = post_raw(client, b'{"symbol": "BTCUSDT", "quantity": "-1", "price": "abc"}')
    errors = assert_problem(response, 400, "VALIDATION")["errors"]
    assert set(errors) == {"quantity", "price"}
    assert errors["quantity"] == ["expected a number above zero, was -1"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (b"1e400", "VALIDATION"),
        (b'"1e999"', "VALIDATION"),
        (b'"NaN"', "VALIDATION"),
        (b"true", "VALIDATION"),
        (b'"12345678901234567890123456789"', "VALIDATION"),
        (b'"\xd9\xa1"', "VALIDATION"),
        (b'"1_000"', "VALIDATION"),
    ],
)
def test_numbers_that_are_not_plain_decimals_are_refused(client: APIClient, number: bytes, code: str) -> None:
    response = post_raw(client, b'{"symbol": "BTCUSDT", "quantity": ' + number + b"}")
    assert set(assert_problem(response, 400, code)["errors"]) == {"quantity"}


def test_numbers_travel_as_plain_text_and_symbols_are_normalised(client: APIClient) -> None:
    response = post_raw(client, b'{"symbol": "btc/usdt", "quantity": 0.10, "price": "1E+2"}')
    body = json.loads(response.content)
    assert (body["symbol"], body["quantity"], body["price"]) == ("BTCUSDT", "0.1", "100")


def test_a_refused_order_carries_its_extra_members(client: APIClient) -> None:
    body = assert_problem(
        post_raw(client, b'{"symbol": "DENIEDUSDT", "quantity": "1"}'), 422, "NOTIONAL_ABOVE_MAX"
    )
    assert (body["measured"], body["limit"]) == ("12", "10")


def test_unknown_addresses_and_methods(client: APIClient) -> None:
    assert_problem(client.get("/api/v1/nowhere"), 404, "NOT_FOUND")
    assert_problem(client.get("/api/v1/toy/failing/missing"), 404, "NOT_FOUND")
    response = client.put(ORDERS, {}, format="json")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in response["Allow"]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("database", 503, "SERVICE_UNAVAILABLE"),
        ("integrity", 409, "CONFLICT"),
        ("data", 400, "INVALID_VALUE"),
        ("bug", 500, "INTERNAL"),
    ],
)
def test_failures_keep_their_insides_to_themselves(
    client: APIClient, kind: str, status: int, code: str
) -> None:
    client.raise_request_exception = False
    response = client.get(f"/api/v1/toy/failing/{kind}", HTTP_X_REQUEST_ID="quote-me-17")
    body = assert_problem(response, status, code)
    assert b"secret" not in response.content
    assert b"Traceback" not in response.content
    if code == "INTERNAL":
        assert body["request_id"] == "quote-me-17"
    if status == 503:
        assert response["Retry-After"] == "1"


def test_the_throttle_says_when_to_come_back(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "3/min"})
    # Time stands still ten seconds into a minute: at its end the next request would count anew.
    moment = time.time() // 60 * 60 + 10
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: moment))
    answers = [client.get(ORDERS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    body = assert_problem(answers[-1], 429, "THROTTLED")
    assert 1 <= body["retry_after"] <= 60
    assert answers[-1]["Retry-After"] == str(body["retry_after"])


def test_a_request_id_is_taken_over_when_well_formed_and_made_otherwise(client: APIClient) -> None:
    assert client.get(ORDERS, HTTP_X_REQUEST_ID="abc-1.2:3_4")["X-Request-ID"] == "abc-1.2:3_4"
    for bad in ("x" * 65, "a b", "a\nb", "<script>"):
        made = client.get(ORDERS, HTTP_X_REQUEST_ID=bad)["X-Request-ID"]
        assert made != bad
        assert len(made) == 32
