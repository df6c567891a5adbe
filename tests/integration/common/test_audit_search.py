"""The audit trail by API and by search: who may read it, what is found, and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, Role, User
from nautilus_site.common.selectors import audit
from nautilus_site.common.selectors.audit import AuditSearch, audit_page
from nautilus_site.common.services.audit import audit_record
from tests.factories.tampering import trail_unguarded

pytestmark = pytest.mark.django_db
Clients = Callable[..., APIClient]
START = datetime.fromisoformat("2026-11-01T00:00:00+00:00")


def entries(count: int, **fields: Any) -> list[AuditEntry]:
    """A minute apart, oldest first; `target` may name the place with `{}`."""
    made = {"actor_name": "engine", "action": "toy.row", "target": "row:{}", "reason": "", **fields}
    return AuditEntry.objects.bulk_create(
        [
            AuditEntry(at=START + timedelta(minutes=n), **{**made, "target": made["target"].format(n)})
            for n in range(count)
        ]
    )


def found(**search: Any) -> list[int]:
    return [entry.pk for entry in audit_page(AuditSearch(**search)).entries]


def test_two_roles_read_and_verify_it_the_others_learn_why_not(
    make_user: Callable[..., User], token_client: Clients
) -> None:
    audit_record(action="limit.changed", target="t", actor="test", before={"v": "1"}, after={"v": "2"})
    for role in Role.values:
        client = token_client(make_user(role))
        listed, verdict = client.get("/api/v1/audit"), client.get("/api/v1/audit/verify")
        if role in ("risk_officer", "admin"):
            row = next(row for row in listed.json()["results"] if row["action"] == "limit.changed")
            assert (row["actor"], row["before"], row["after"]) == ("test", {"v": "1"}, {"v": "2"})
            assert (verdict.json()["ok"], verdict.json()["first_bad_id"]) == (True, None)
        else:
            assert listed.status_code == verdict.status_code == 403
            assert listed.json()["permission"] == "audit.read"
        assert client.post("/api/v1/audit", {}, format="json").status_code in (403, 405)


def test_an_entry_put_in_past_the_trail_is_named_by_the_api(
    risk_officer: User, token_client: Clients
) -> None:
    client = token_client(risk_officer)
    with trail_unguarded():
        stray = entries(1)[0]
    verdict = client.get("/api/v1/audit/verify").json()
    assert (verdict["ok"], verdict["first_bad_id"]) == (False, stray.pk)


def test_the_api_filters_by_field_and_time_and_refuses_what_it_does_not_know(
    risk_officer: User, trader: User, token_client: Clients
) -> None:
    rows = entries(10)
    mine = entries(1, actor=trader, actor_name="trader", action="toy.mine")[0]
    client = token_client(risk_officer)

    def listed(**query: str) -> list[int]:
        return [row["id"] for row in client.get("/api/v1/audit", query).json()["results"]]

    assert listed(actor="trader") == [mine.pk]
    assert listed(target="row:3") == [rows[3].pk]
    assert listed(action="toy.row", since="2026-11-01T00:08:00Z") == [rows[9].pk, rows[8].pk]
    assert listed(action="toy.row", until="2026-11-01T00:02:00Z") == [rows[1].pk, rows[0].pk]
    assert client.get("/api/v1/audit", {"since": "yesterday"}).status_code == 400
    assert client.get("/api/v1/audit", {"acter": "x"}).json()["code"] == "UNKNOWN_FILTER"


def test_every_filter_finds_what_it_names(trader: User) -> None:
    rows = entries(6)
    mine = entries(1, actor=trader, actor_name="trader", action="limit.changed", target="max@global")[0]
    told = entries(1, after={"rule": {"name": "Spike"}}, reason="of rejections", target="x")[0]
    assert found(actor="trader") == [mine.pk]
    assert found(actor="engine", target="row:*") == [row.pk for row in rows[::-1]]
    assert found(action="limit.*") == found(action="limit.changed") == [mine.pk]
    assert found(text="spike") == found(text="REJECTIONS") == [told.pk]
    assert found(text="100%") == []
    since = START + timedelta(minutes=2)
    assert found(target="row:*", since=since, until=since + timedelta(minutes=2)) == [rows[3].pk, rows[2].pk]
    assert found(since=now() + timedelta(days=1)) == []
    assert found(until=START - timedelta(days=1)) == []


@pytest.mark.parametrize("seen_late_s", [0, 4])
def test_a_time_finds_entries_that_were_numbered_a_little_out_of_order(seen_late_s: int) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(
            at=START + timedelta(seconds=10 * n - (seen_late_s if n % 2 else 0)),
            actor_name="engine",
            action="a",
            target=str(n),
        )
        for n in range(200)
    )
    since, until = START + timedelta(seconds=496), START + timedelta(seconds=1505)
    expected = AuditEntry.objects.filter(at__gte=since, at__lt=until).order_by("-pk")
    pages = [audit_page(AuditSearch(since=since, until=until), size=40)]
    while pages[-1].older is not None:
        pages.append(audit_page(AuditSearch(since=since, until=until), before=pages[-1].older, size=40))
    assert [entry.pk for page in pages for entry in page.entries] == [entry.pk for entry in expected]
    assert len(pages) == 3


def test_pages_neither_repeat_nor_lose_entries_while_new_ones_arrive() -> None:
    rows = entries(25)
    seen, before = [], None
    while True:
        page = audit_page(AuditSearch(target="row:*"), before=before, size=10)
        seen += [entry.pk for entry in page.entries]
        entries(2, target="new")
        if page.older is None:
            break
        before = page.older
    assert seen == [row.pk for row in rows[::-1]]


def test_a_rare_word_costs_short_pages_and_is_found_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "WINDOW", 10)
    monkeypatch.setattr(audit, "WINDOWS", 3)
    rare = entries(1, reason="needle")[0]
    entries(95)
    page, looked = audit_page(AuditSearch(text="needle")), 1
    while not page.entries:
        assert page.stopped
        assert page.older is not None
        with CaptureQueriesContext(connection) as queries:
            page = audit_page(AuditSearch(text="needle"), before=page.older)
        assert len(queries) <= 3 + 3, "as many windows, and the ends of the trail"
        looked += 1
    assert [entry.pk for entry in page.entries] == [rare.pk]
    assert (page.older, looked) == (None, 4)


def test_no_page_counts_or_sorts_the_trail() -> None:
    entries(300)
    with CaptureQueriesContext(connection) as queries:
        audit_page(AuditSearch())
        audit_page(AuditSearch(since=START + timedelta(minutes=10), until=START + timedelta(minutes=200)))
    for query in queries:
        assert "COUNT" not in query["sql"]
        assert "LIMIT" in query["sql"]


def test_two_do_not_verify_the_whole_trail_at_once(risk_officer: User, token_client: Clients) -> None:
    client = token_client(risk_officer)
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('audit.verify'))")
        busy = client.get("/api/v1/audit/verify")
        assert (busy.status_code, busy.json()["code"]) == (409, "VERIFYING")
    assert client.get("/api/v1/audit/verify").json()["ok"] is True
    assert client.get("/api/v1/audit/verify").status_code == 200, "the first has let go of it"
