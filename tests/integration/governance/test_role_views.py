"""What a role would see is read off the declarations that decide, so it agrees with what routes answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.models import Role, User
from tests.integration.common.test_authorisation_matrix import ASKERS, METHODS, expected

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]


@pytest.mark.parametrize("role", Role.values)
def test_the_view_of_a_role_is_the_table_of_authorisation(
    role: str, viewer: User, session_client: Callable[..., APIClient]
) -> None:
    seen = session_client(viewer).get(f"/api/v1/roles/{role}").json()
    actions = {row["id"] for row in seen["actions"]}
    column, wrong = ASKERS.index(role), []
    for name, words in expected().items():
        method, _, route = name.partition(" ")
        if method not in METHODS or not route.startswith("/api/v1/") or route == "/api/v1/stream":
            continue  # the stream is asked topic by topic
        # A view that asks again once it has looked at the object may say no where the route says yes.
        if words[column] == "yes" and name not in actions:
            wrong.append(name)
    assert wrong == []
    pages = {page["href"] for page in seen["pages"]}
    for href in pages:
        assert expected()[f"GET {href}"][column] == "yes", href
    assert ("/audit/" in pages) == (role in ("risk_officer", "admin"))
    assert seen["admin"] == (role != "viewer")


def test_nothing_is_said_to_be_open_that_is_not(
    viewer: User, session_client: Callable[..., APIClient]
) -> None:
    client = session_client(viewer)
    extra = []
    for role in Role.values:
        for row in client.get(f"/api/v1/roles/{role}").json()["actions"]:
            if expected()[row["id"]][ASKERS.index(role)] != "yes":
                extra.append(f"{role} {row['id']}")
    assert extra == []
    assert client.get("/api/v1/roles/nobody").status_code == 404
