"""Who is logged in, since when and from where; one person ends a session, and its live pages end with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from governance.domain.notices import notice_of
from nautilus_site.common import session_places
from nautilus_site.common.clock import now
from nautilus_site.common.live.credentials import Credentials, watcher_of
from nautilus_site.common.models import ApiToken, AuditEntry, OutboxEvent, User
from nautilus_site.common.selectors import sessions
from nautilus_site.common.selectors.sessions import sessions_open
from nautilus_site.common.services.token_expiries import tokens_expiring_tell
from nautilus_site.common.services.tokens import token_create, token_issue
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
API = "/api/v1/sessions"


@pytest.fixture(autouse=True)
def _fresh(clean_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_places, "_noted", {})


def logged_in(name: str, **meta: str) -> Client:
    client = Client(**meta)
    assert client.post("/accounts/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/state/people/").status_code == 200


def listed(client: Any) -> list[dict[str, Any]]:
    answer = client.get(API)
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def test_a_session_tells_whose_it_is_since_when_from_where_and_when_it_was_used(trader: User) -> None:
    here = logged_in("trader", REMOTE_ADDR="10.0.0.1", HTTP_USER_AGENT="a browser")
    logged_in("trader", REMOTE_ADDR="10.0.0.2", HTTP_USER_AGENT="another")
    away, own = listed(here)
    assert (own["user"], own["address"], own["agent"], own["current"]) == (
        "trader",
        "10.0.0.1",
        "a browser",
        True,
    )
    assert (away["address"], away["current"]) == ("10.0.0.2", False)
    assert own["opened_at"] <= away["opened_at"] <= now().isoformat()
    assert own["seen_at"] is not None
    row = here.get("/state/people/").json()["sessions"][1]
    assert (row["mark"]["text"], row["address"]) == ("this one", "10.0.0.1")
    text = str(listed(here)) + str(here.get("/state/people/").json())
    assert here.session.session_key not in text, "which is as good as the log-in"


def test_people_see_their_own_and_those_who_answer_for_people_see_all(
    trader: User, risk_officer: User, admin_person: User, viewer: User
) -> None:
    browsers = {name: logged_in(name) for name in ("trader", "viewer", "risk", "admin")}
    for name, client in browsers.items():
        expected = set(browsers) if name in ("risk", "admin") else {name}
        assert {row["user"] for row in listed(client)} == expected, name


def test_an_ended_session_ends_its_pages_and_live_pages_and_no_other(trader: User) -> None:
    here, away = logged_in("trader"), logged_in("trader")
    watching = Credentials(session_key=away.session.session_key)
    assert watcher_of(watching) is not None
    (other,) = [row for row in listed(here) if not row["current"]]
    answer = here.delete(f"{API}/{other['id']}")
    assert (answer.status_code, answer.json()) == (200, {"user": "trader", "ended": 1})
    assert watcher_of(watching) is None, "which an open socket asks every five seconds"
    assert (is_in(here), is_in(away)) == (True, False)
    assert here.delete(f"{API}/{other['id']}").status_code == 404
    entry = AuditEntry.objects.get(action="session.ended")
    assert (entry.target, entry.actor_name) == ("user:trader", "trader")


@pytest.mark.parametrize(
    ("name", "ends"), [("trader2", False), ("model_owner", False), ("risk", True), ("admin", True)]
)
def test_a_session_of_somebody_else_is_ended_by_those_who_answer_for_people(
    name: str, ends: bool, make_user: Callable[..., User], trader: User
) -> None:
    roles = {"trader2": "trader", "model_owner": "model_owner", "risk": "risk_officer", "admin": "admin"}
    make_user(roles[name], username=name)
    theirs, actor = logged_in("trader"), logged_in(name)
    (row,) = [each for each in sessions_open() if each.user == trader]
    assert actor.delete(f"{API}/{row.digest}").status_code == (200 if ends else 404)
    assert is_in(theirs) != ends
    theirs = logged_in("trader")
    path = "/api/v1/people/trader/sessions/end"
    unreasoned = actor.post(path, "{}", content_type="application/json")
    assert unreasoned.status_code == (400 if ends else 403)
    answer = actor.post(path, '{"reason": "left the desk"}', content_type="application/json")
    assert answer.status_code == (200 if ends else 403)
    assert is_in(theirs) != ends
    assert is_in(actor)


def test_a_token_narrowed_to_ones_own_sessions_ends_no_others(
    trader: User, risk_officer: User, token_client: Callable[..., APIClient]
) -> None:
    logged_in("trader")
    (row,) = sessions_open(trader)
    narrow, wide = (token_client(risk_officer, scopes=scopes) for scopes in (["sessions.own"], None))
    assert narrow.delete(f"{API}/{row.digest}").status_code == 404
    assert wide.delete(f"{API}/{row.digest}").status_code == 200


def test_a_token_narrowed_to_ones_own_sees_and_revokes_nothing_of_others(
    trader: User, admin_person: User, token_client: Callable[..., APIClient]
) -> None:
    logged_in("trader")
    theirs, _ = token_issue(user=trader, name="theirs", actor=trader)
    narrow, wide = (
        token_client(admin_person, scopes=scopes) for scopes in (["read", "tokens.own", "sessions.own"], None)
    )
    assert (listed(narrow), [row["user"] for row in listed(wide)]) == ([], ["trader"])
    seen = {row["user"] for row in narrow.get("/api/v1/tokens").json()["results"]}
    assert seen == {"admin"}
    assert "trader" in {row["user"] for row in wide.get("/api/v1/tokens").json()["results"]}
    assert narrow.delete(f"/api/v1/tokens/{theirs.pk}").status_code == 404
    assert wide.delete(f"/api/v1/tokens/{theirs.pk}").status_code == 200


def test_a_session_is_ended_however_many_others_there_are(
    trader: User, risk_officer: User, browser: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    officer, one, all_of_them = browser(risk_officer), browser(trader), browser(trader)
    for _ in range(3):
        browser(risk_officer)
    assert len(sessions_open(trader)) == 2, "of one person theirs are listed"
    digest = session_places.session_digest(str(one.session.session_key))
    assert officer.delete(f"{API}/{digest}").status_code == 200
    assert (is_in(one), is_in(all_of_them)) == (False, True)
    for _ in range(3):
        browser(trader)  # a script of whoever holds the session
    path = "/api/v1/people/trader/sessions/end"
    assert officer.post(path, '{"reason": "stolen"}', content_type="application/json").status_code == 200
    assert (is_in(all_of_them), is_in(officer)) == (False, True)


def test_one_logs_oneself_out_everywhere_and_tokens_stay(
    trader: User, token_client: Callable[..., APIClient]
) -> None:
    here, away, script = logged_in("trader"), logged_in("trader"), token_client(trader)
    answer = here.delete(API)
    assert (answer.status_code, answer.json()["ended"]) == (200, 2)
    assert (is_in(here), is_in(away)) == (False, False)
    assert script.get("/api/v1/status").status_code == 200
    assert AuditEntry.objects.get(action="session.all_ended").before == {"sessions": 2}


def test_what_is_over_is_not_listed(trader: User, risk_officer: User) -> None:
    logged_in("trader")
    watching = logged_in("risk")
    assert len(listed(watching)) == 2
    User.objects.filter(username="trader").update(password="another")
    assert [row["user"] for row in listed(watching)] == ["risk"], "opened with the password of before"


def test_the_use_of_a_session_is_noted_in_no_table_and_not_with_every_request(
    trader: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    here = logged_in("trader")
    written: list[str] = []
    monkeypatch.setattr(
        session_places.cache, "set", lambda name, *_, **__: written.append(name), raising=False
    )
    for _ in range(5):
        assert is_in(here)
    assert len(written) <= 1
    Client().get("/livez")
    assert len(written) <= 1


def test_people_are_told_of_tokens_that_end_soon_once(trader: User, viewer: User) -> None:
    for name, life, ends_in in (("soon", 60, 13), ("later", 60, 15), ("short", 7, 6), ("over", 60, -1)):
        token_create(user=trader, name=name, actor=trader)
        made = now() - timedelta(days=life - ends_in)
        ApiToken.objects.filter(name=name).update(created_at=made, expires_at=now() + timedelta(days=ends_in))
    token_create(user=viewer, name="off", actor=viewer)
    ApiToken.objects.filter(name="off").update(
        created_at=now() - timedelta(days=80), expires_at=now() + timedelta(days=2)
    )
    User.objects.filter(username="viewer").update(is_active=False)
    assert (tokens_expiring_tell(), tokens_expiring_tell()) == (1, 0)
    event = OutboxEvent.objects.get(topic="approvals", data__kind="token")
    notice = notice_of("approvals", event.data)
    assert notice is not None
    assert (notice.kind, "soon of trader" in notice.title) == ("token.expiring", True)
    rows = {row["name"]: row["state"] for row in logged_in("trader").get("/state/people/").json()["tokens"]}
    assert (rows["soon"]["tone"], rows["later"]["tone"], rows["over"]["text"]) == ("warn", "good", "expired")
