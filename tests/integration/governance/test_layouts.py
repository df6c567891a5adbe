"""Arrangements of pages: kept for a person, published for a role, seen in the page's own markup."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from rest_framework.test import APIClient

from governance.domain.layouts import MOST_PANELS
from governance.models import PageLayout
from governance.views.page import Page
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.tokens import token_create

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
Clients = Callable[..., APIClient]
Browser = Callable[[User], Client]
RISK = "/api/v1/layouts/risk"


@pytest.fixture
def risk_page(trader: User, browser: Browser) -> Callable[..., dict[str, dict[str, Any]]]:
    """Panels of /risk/ by name in the order of the markup: their classes, and whether they are hidden."""

    def read(person: User = trader, path: str = "/risk/") -> dict[str, dict[str, Any]]:
        text = browser(person).get(path).content.decode()
        found = re.findall(r'<div class="cell ([^"]*)" data-cell="(\w+)"([^>]*)>', text)
        return {name: {"classes": c.split(), "folded": marks.endswith(" hidden")} for c, name, marks in found}

    return read


def panels(*places: str | dict[str, Any]) -> dict[str, Any]:
    return {"panels": [{"name": each} if isinstance(each, str) else each for each in places]}


def put(client: APIClient, path: str, body: Any) -> Any:
    return client.put(path, json.dumps(body), content_type="application/json")


def test_ones_own_arrangement_is_the_order_of_the_markup_until_it_is_reset(
    trader: User, session_client: Clients, risk_page: Callable[..., Any]
) -> None:
    client = session_client(trader)
    natural = client.get(RISK).json()
    assert (natural["source"], [panel["name"] for panel in natural["panels"]]) == ("page", list(risk_page()))
    wanted = panels(
        {"name": "limits", "width": 6, "height": "large"},
        "gone",
        {"name": "rails", "width": 6, "folded": True},
    )
    answer = put(client, RISK, wanted).json()
    assert (answer["source"], answer["ignored"]) == ("own", ["gone"])
    put(client, RISK, panels("enforcements", *wanted["panels"]))
    seen = risk_page()
    assert [name for name in seen if name in ("enforcements", "limits", "rails")] == [
        "enforcements",
        "limits",
        "rails",
    ]
    assert ("span-6" in seen["limits"]["classes"], seen["rails"]["folded"]) == (True, True)
    assert PageLayout.objects.count() == 1, "the last one holds"
    again = client.delete(RISK).json()
    assert (again["source"], again["panels"]) == ("page", natural["panels"])
    assert not PageLayout.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="layout.").exists(), (
        "a preference is nobody's business"
    )


REFUSED = (
    (panels("states", "states"), "PANEL_TWICE"),
    (panels({"name": "breakers", "folded": True}), "PANEL_STAYS"),
    (panels({"name": "limits", "width": 5}), "VALIDATION"),
    (panels({"name": "limits", "height": "huge"}), "VALIDATION"),
    (panels({"name": "limits", "folded": "yes"}), "VALIDATION"),
    (panels({"name": "limits", "columns": 3}), "UNKNOWN_FIELD"),
    (panels(*(f"p{number}" for number in range(41))), "VALIDATION"),
    (panels({"name": "p" * 41}), "VALIDATION"),
    ({"panels": []}, "VALIDATION"),
    ({"panels": "limits"}, "VALIDATION"),
    ({}, "VALIDATION"),
)


def test_what_is_no_arrangement_is_refused_and_what_was_kept_stays(
    trader: User, session_client: Clients
) -> None:
    client = session_client(trader)
    kept = put(client, RISK, panels({"name": "limits", "width": 6})).json()
    for body, code in REFUSED:
        answer = put(client, RISK, body)
        assert (answer.status_code, answer.json()["code"]) == (400, code), body
    assert client.get(RISK).json() == kept


def test_an_arrangement_published_for_a_role_holds_for_those_without_their_own(
    trader: User,
    viewer: User,
    make_user: Callable[..., User],
    session_client: Clients,
    risk_page: Callable[..., Any],
) -> None:
    root, second = session_client(make_user("admin", username="root")), make_user("trader", username="second")
    put(session_client(second), RISK, panels("rails", "states"))
    path = f"{RISK}/roles/trader"
    body = panels("denials", {"name": "limits", "folded": True})
    assert put(root, path, body).json()["code"] == "VALIDATION", "a reason is asked for"
    answer = put(root, path, {**body, "reason": "the desk looks at denials first"})
    assert (answer.status_code, answer.json()["source"]) == (200, "role")
    put(root, path, {**body, "reason": "once more"})
    assert list(risk_page(trader))[2] == "denials"
    assert risk_page(trader)["limits"]["folded"]
    assert not risk_page(second)["limits"]["folded"]
    assert not risk_page(viewer)["limits"]["folded"]
    assert session_client(second).delete(RISK).json()["source"] == "role", "a reset leads to the role's"
    entry = AuditEntry.objects.get(action="layout.published")
    assert (entry.target, entry.actor_name, entry.before) == ("layout:risk:trader", "root", None)
    assert entry.after == [{"name": "denials"}, {"name": "limits", "folded": True}]

    assert root.delete(path).json()["source"] == "page"
    assert not risk_page(trader)["limits"]["folded"]
    assert AuditEntry.objects.get(action="layout.withdrawn").before == entry.after
    assert root.delete(path).json()["code"] == "LAYOUT_NOT_FOUND"


def test_pages_and_roles_that_there_are_not_and_pages_one_may_not_open_are_refused(
    trader: User, make_user: Callable[..., User], session_client: Clients
) -> None:
    client, root = session_client(trader), session_client(make_user("admin"))
    answers = {
        "PAGE_NOT_FOUND": client.get("/api/v1/layouts/nowhere"),
        "PERMISSION_DENIED": client.get("/api/v1/layouts/audit"),
        "ROLE_NOT_FOUND": put(root, f"{RISK}/roles/nobody", {**panels("rails"), "reason": "x"}),
        "ROLE_DOES_NOT_SEE": put(
            root, "/api/v1/layouts/audit/roles/viewer", {**panels("chain"), "reason": "x"}
        ),
    }
    assert {code: answer.json()["code"] for code, answer in answers.items()} == {
        code: code for code in answers
    }


def test_a_token_that_only_reads_arranges_nothing(trader: User, client: Client) -> None:
    text = token_create(user=trader, name="reader", scopes=["read"], actor=trader)
    kept = {"HTTP_AUTHORIZATION": f"Bearer {text}"}
    assert client.get(RISK, **kept).status_code == 200
    assert (
        client.put(RISK, json.dumps(panels("rails")), content_type="application/json", **kept).status_code
        == 403
    )


def test_a_panel_one_may_not_see_is_no_part_of_ones_page_and_the_page_never_blank(
    trader: User, make_user: Callable[..., User], session_client: Clients, risk_page: Callable[..., Any]
) -> None:
    put(session_client(trader), "/api/v1/layouts/approvals", panels("decisions", "history", "pending"))
    assert list(risk_page(trader, "/approvals/")) == ["history", "pending"]
    # A viewer has one panel of the page Research: the role's arrangement folds it away, and it is shown.
    viewer, root = make_user("viewer", username="only"), session_client(make_user("admin"))
    body = {**panels({"name": "jobs", "folded": True}), "reason": "few need them"}
    assert put(root, "/api/v1/layouts/research/roles/viewer", body).status_code == 200
    assert risk_page(viewer, "/research/") == {"jobs": {"classes": ["span-12"], "folded": False}}


def test_a_panel_has_one_name_on_its_page_and_an_arrangement_can_hold_them_all() -> None:
    for page in Page.__subclasses__():
        names = [panel.name for panel in page.panels()]
        assert names, page
        assert len(names) == len(set(names)) <= MOST_PANELS, page
        assert max(map(len, names)) <= 40, page


def test_an_arrangement_is_of_one_person_or_of_one_role_and_there_is_one(trader: User) -> None:
    for fields in ({}, {"person": trader, "role": "trader"}, {"role": "nobody"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            PageLayout.objects.create(page="risk", places=[], changed_at=now(), **fields)
    for fields in ({"person": trader}, {"role": "trader"}):
        PageLayout.objects.create(page="risk", places=[], changed_at=now(), **fields)
        with pytest.raises(IntegrityError), transaction.atomic():
            PageLayout.objects.create(page="risk", places=[], changed_at=now(), **fields)
