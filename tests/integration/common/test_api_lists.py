"""Lists: newest first, by cursor, stable while rows arrive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]
PATH = "/api/v1/toy/rows"


def add_rows(count: int) -> list[int]:
    return [audit_record(action="toy.row", target="t", actor="test").pk for _ in range(count)]


@pytest.fixture
def client(viewer: User, token_client: Callable[..., APIClient], clean_cache: None) -> APIClient:
    return token_client(viewer)


def test_pages_are_newest_first_and_neither_repeat_nor_lose_rows_while_new_ones_arrive(
    client: APIClient,
) -> None:
    ids = add_rows(250)
    page = client.get(PATH).json()
    assert set(page) == {"results", "next", "previous"}
    assert len(page["results"]) == 100
    assert page["previous"] is None
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        add_rows(3)
        page = client.get(page["next"]).json()
        seen += [row["id"] for row in page["results"]]
    assert seen == ids[::-1]


def test_the_previous_link_leads_back(client: APIClient) -> None:
    add_rows(30)
    first = client.get(PATH, {"limit": 10}).json()
    second = client.get(first["next"]).json()
    assert client.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "ten"},
        {"limit": "-1"},
        {"cursor": "nonsense"},
        {"ordering": "actor__password"},
        {"ordering": "--at"},
    ],
)
def test_bad_paging_is_a_validation_error(client: APIClient, query: dict[str, str]) -> None:
    response = client.get(PATH, query)
    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION")
    assert set(response.json()["errors"]) == set(query)


def test_clients_may_order_by_declared_columns(client: APIClient) -> None:
    ids = add_rows(5)
    rows = client.get(PATH, {"ordering": "at", "limit": 500}).json()["results"]
    assert [row["id"] for row in rows] == ids
