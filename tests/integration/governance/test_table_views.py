"""Views of tables: each person's own, what is shared, and who may do what to which."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from governance.models import DefaultView, TableView
from governance.services import table_views
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, User

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("nautilus_site.urls"),
    pytest.mark.usefixtures("clean_cache"),
]
Clients = Callable[..., Any]
API = "/api/v1/views"
BIG = {"find": "btc", "sort": "-price", "hide": ["code"], "filters": {"status": "NEW"}}


def keep(client: Any, name: str = "Big", **more: Any) -> Any:
    body = {"table": "orders.orders", "name": name, "state": BIG, **more}
    return client.post(API, body, format="json")


def names(client: Any, table: str = "orders.orders") -> list[str]:
    return [view["name"] for view in client.get(API, {"table": table}).json()["results"]]


def test_a_view_follows_its_person_and_nobody_else_finds_it(
    trader: User, viewer: User, session_client: Clients, token_client: Clients
) -> None:
    mine, theirs = session_client(trader), session_client(viewer)
    answer = keep(mine, "  Big ", default=True)
    assert answer.status_code == 201
    view = answer.json()
    assert (view["name"], view["owner"], view["mine"], view["shared"]) == ("Big", "trader", True, False)
    assert (view["state"], view["default"]) == (BIG, True)
    assert names(token_client(trader)) == ["Big"], "another browser, or a script"
    assert names(mine, "orders.fills") == []
    assert names(theirs) == []
    for method, body in ((theirs.put, {"default": True}), (theirs.put, {"name": "X"}), (theirs.delete, None)):
        refused = method(f"{API}/{view['id']}", body, format="json")
        assert (refused.status_code, refused.json()["code"]) == (404, "VIEW_NOT_FOUND")
    changed = mine.put(f"{API}/{view['id']}", {"state": {"sort": "fee"}}, format="json")
    assert changed.json()["code"] == "INVALID_VIEW", "a column of another table"
    changed = mine.put(f"{API}/{view['id']}", {"name": "Small", "state": {}, "default": False}, format="json")
    assert (changed.json()["name"], changed.json()["state"], changed.json()["default"]) == (
        "Small",
        {},
        False,
    )
    assert not AuditEntry.objects.filter(action__startswith="table_view").exists(), "nobody's business"
    assert mine.delete(f"{API}/{view['id']}").json()["name"] == "Small"
    assert names(mine) == []


def test_a_shared_view_is_found_by_all_changed_by_its_owner_and_deleted_by_an_admin(
    trader: User,
    viewer: User,
    risk_officer: User,
    admin_person: User,
    session_client: Clients,
    token_client: Clients,
) -> None:
    owner, reader, other, admin = (session_client(p) for p in (trader, viewer, risk_officer, admin_person))
    view = keep(owner, shared=True).json()
    assert names(reader) == names(other) == ["Big"]
    path = f"{API}/{view['id']}"
    assert reader.put(path, {"default": True}, format="json").json()["default"] is True
    assert owner.get(API).json()["results"][0]["default"] is False, "each person's own"
    for client in (reader, other, admin):
        refused = client.put(path, {"name": "Mine"}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (403, "NOT_YOUR_VIEW")
    assert other.delete(path).json()["permission"] == "views.delete"
    assert keep(reader, "Own", shared=True).json()["permission"] == "views.share"
    own = keep(reader, "Own").json()
    shared = reader.put(f"{API}/{own['id']}", {"shared": True}, format="json")
    assert shared.json()["permission"] == "views.share"
    owner.put(path, {"shared": False}, format="json")
    assert names(reader) == ["Own"]
    assert not DefaultView.objects.filter(user=viewer).exists(), "what is private again opens nobody's table"
    owner.put(path, {"shared": True}, format="json")
    narrow = token_client(admin_person, scopes=["views.own", "views.share"])
    assert narrow.delete(path).json()["permission"] == "views.delete"
    scopes = ["views.own", "views.delete"]
    assert token_client(admin_person, scopes=scopes).delete(path).status_code == 200
    assert not TableView.objects.filter(owner=trader).exists()
    told = list(AuditEntry.objects.filter(target=f"view:{view['id']}").order_by("pk"))
    assert [(e.action.removeprefix("table_view."), e.actor_name) for e in told] == [
        ("shared", "trader"), ("changed", "trader"), ("changed", "trader"), ("deleted", "admin"),
    ]  # fmt: skip
    assert [(e.before is None, e.after is None) for e in told] == [
        (True, False), (False, True), (True, False), (False, True),
    ]  # fmt: skip


def test_a_person_who_may_no_longer_share_changes_nothing_that_others_find(
    trader: User, session_client: Clients
) -> None:
    client = session_client(trader)
    path = f"{API}/{keep(client, shared=True).json()['id']}"
    User.objects.filter(pk=trader.pk).update(role="viewer")
    assert client.put(path, {"name": "X"}, format="json").json()["permission"] == "views.share"
    assert client.put(path, {"shared": False}, format="json").status_code == 200


def test_what_is_no_view_is_refused_and_changes_nothing(
    trader: User, session_client: Clients, token_client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = session_client(trader)
    assert keep(client).status_code == 201
    for more, code in (
        ({"name": "BIG"}, "VIEW_EXISTS"),
        ({"name": " "}, "VALIDATION"),
        ({"name": "a\tb"}, "INVALID_VIEW"),
        ({"name": "x" * 61}, "VALIDATION"),
        ({"table": "orders.nothing"}, "TABLE_NOT_FOUND"),
        ({"state": {"filters": {"status": "NONSENSE"}}}, "INVALID_FILTER"),
        ({"state": {"filters": {"before": "7"}}}, "INVALID_VIEW"),
        ({"state": [1]}, "INVALID_VIEW"),
        ({"owner": "risk"}, "UNKNOWN_FIELD"),
        ({"table": "orders.fills", "state": {"filters": {"symbol": "BTCUSDT"}}}, "INVALID_VIEW"),
    ):
        answer = keep(client, **{"name": "New", **more})
        assert answer.json()["code"] == code, more
    monkeypatch.setattr(table_views, "MOST_SHARED", 0)
    assert keep(client, "New", shared=True).json()["code"] == "TOO_MANY_VIEWS"
    monkeypatch.setattr(table_views, "MOST", 1)
    assert keep(client, "New").json()["code"] == "TOO_MANY_VIEWS"
    assert (
        client.put(f"{API}/{TableView.objects.get().pk}", {"name": "Bigger"}, format="json").status_code
        == 200
    )
    assert client.get(API, {"table": "x"}).json()["code"] == "TABLE_NOT_FOUND"
    assert keep(session_client(trader, csrf=False)).status_code == 403
    assert keep(token_client(trader, scopes=["read"])).json()["permission"] == "views.own"
    assert TableView.objects.count() == 1


def test_views_go_with_their_person(make_user: Callable[..., User]) -> None:
    owner, reader = make_user("trader"), make_user("viewer")
    view = TableView.objects.create(
        owner=owner, table="orders.fills", name="x", is_shared=True, changed_at=now()
    )
    DefaultView.objects.create(user=reader, view=view, table=view.table)
    with transaction.atomic():
        owner.delete()
        assert not TableView.objects.exists()
        assert not DefaultView.objects.exists()
        transaction.set_rollback(True)  # people are switched off; the trail lets nobody's row go


def test_a_page_knows_the_views_of_its_tables_and_keeps_the_filters_it_understands(
    trader: User, session_client: Clients, browser: Callable[[User], Client]
) -> None:
    keep(session_client(trader), default=True)
    page = browser(trader).get("/orders/?status=NEW&side=UP&symbol=btc/usdt&orders.sort=-price")
    text = page.content.decode()
    config = json.loads(re.findall(r'id="page-config"[^>]*>(.*?)</script>', text)[0])
    assert [(name, [v["name"] for v in found]) for name, found in config["views"].items()] == [
        ("orders", ["Big"])
    ]
    assert config["left_out"] == ["side"]
    assert "side: expected one of BUY, SELL. It was left out." in text
    state = json.loads(re.findall(r'id="page-state"[^>]*>(.*?)</script>', text)[0])
    assert (state["filter"]["symbol"], state["filter"]["status"], state["filter"]["side"]) == (
        "BTCUSDT",
        "NEW",
        "",
    )
