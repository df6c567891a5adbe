"""The audit page and the people page as the server answers them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from nautilus_site.common.models import Role, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal
from nautilus_site.common.services.leases import lease_acquire
from nautilus_site.common.services.tokens import token_create

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]


def test_the_audit_page_is_for_those_who_may_read_the_trail(
    make_user: Callable[..., User], browser: Browser, client: Client
) -> None:
    assert client.get("/audit/").status_code == 302
    assert client.get("/state/audit/").status_code == 401
    for role in Role.values:
        person = browser(make_user(role))
        may = role in ("risk_officer", "admin")
        assert person.get("/audit/").status_code == (200 if may else 403), role
        answer = person.get("/state/audit/")
        assert answer.status_code == (200 if may else 403), role
        if not may:
            assert answer.json()["code"] == "PERMISSION_DENIED"
        assert ('href="/audit/"' in person.get("/people/").content.decode()) == may


@pytest.mark.parametrize("query", ["before=-1", "before=x", "since=today", "until=2026-13-01", "text=%00"])
def test_a_wrong_search_is_named_and_the_page_still_shows_the_trail(
    query: str, risk_officer: User, browser: Browser
) -> None:
    audit_record(action="limit.changed", target="t", actor="test")
    person = browser(risk_officer)
    page = person.get(f"/audit/?{query}")
    assert page.status_code == 200
    assert "It was left out." in page.content.decode()
    assert "limit.changed" in page.content.decode()
    assert person.get(f"/state/audit/?{query}").json()["code"] == "INVALID_FILTER"


def test_entries_show_what_changed_and_where_they_stand_in_the_chain(
    risk_officer: User, browser: Browser
) -> None:
    audit_record(action="limit.changed", target="t", actor="test", before={"v": 1, "u": 2}, after={"v": 3})
    held = lease_acquire(name="relay", holder="test")
    assert held is not None
    assert audit_seal(held) is not None
    audit_record(action="kill.raised", target="global", actor="test", after="CANCEL")
    state = browser(risk_officer).get("/state/audit/").json()
    raised, changed = (
        next(row for row in state["entries"] if row["action_name"] == name)
        for name in ("kill.raised", "limit.changed")
    )
    assert (raised["sealed"]["text"], raised["summary"]) == ("waiting", "value: – → CANCEL")
    assert (changed["sealed"]["text"], changed["summary"]) == ("sealed", "v: 1 → 3 and 1 more")
    assert changed["changes"][1] == {"path": "u", "before": "2", "after": "–"}
    chain = state["chain"]
    # The log-in of this session came after the seal, too.
    assert (chain["waiting"], chain["lost"], chain["lamp"]["tone"]) == ("2", 0, "good")


def test_everybody_sees_themselves_and_only_two_roles_see_the_others(
    make_user: Callable[..., User], browser: Browser
) -> None:
    people = {role: make_user(role, username=role) for role in Role.values}
    for person in people.values():
        token_create(user=person, name=f"of {person.username}", actor=person)
    for role, person in people.items():
        state = browser(person).get("/state/people/").json()
        expected = set(people) if role in ("risk_officer", "admin") else {role}
        assert {row["username"] for row in state["people"]} == expected, role
        assert {row["username"] for row in state["tokens"]} == expected, role
        digests = [token.digest for each in people.values() for token in each.api_tokens.all()]
        assert not any(digest in str(state) for digest in digests)


def test_the_matrix_is_the_table_in_force(viewer: User, browser: Browser) -> None:
    rows = {row["permission"]: row for row in browser(viewer).get("/state/people/").json()["matrix"]}
    assert rows["orders.place"]["trader"] == "yes"
    assert rows["orders.place"]["admin"] == "–"
    assert rows["read:metrics"]["viewer"] == "yes"
    assert rows["change.decide"]["by"] == "a person, freshly logged in"
