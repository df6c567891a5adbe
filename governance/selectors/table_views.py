"""Views of tables as one person finds them: their own and what others share."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from governance.models import DefaultView, TableView
from nautilus_site.common.models import User
from trading.selectors.notation import utc_text


def table_views_of(person: User) -> QuerySet[TableView]:
    """What a person finds, each with whether they open its table with it (`is_default`)."""
    chosen = DefaultView.objects.filter(user=person, view=OuterRef("pk"))
    found = TableView.objects.filter(Q(owner=person) | Q(is_shared=True))
    return found.select_related("owner").annotate(is_default=Exists(chosen))


def page_views(person: User, page: str) -> dict[str, list[dict[str, Any]]]:
    """Those of a page's tables, by the table's name there."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table_views_of(person).filter(table__startswith=f"{page}."):
        found.setdefault(row.table.removeprefix(f"{page}."), []).append(table_view_members(row, person))
    return found


def table_view_members(row: Any, person: User) -> dict[str, Any]:
    """A view for the API and the pages; `row` is one of `table_views_of`."""
    return {
        "id": row.pk,
        "table": row.table,
        "name": row.name,
        "owner": row.owner.username,
        "mine": row.owner_id == person.pk,
        "shared": row.is_shared,
        "default": row.is_default,
        "state": row.state,
        "changed_at": utc_text(row.changed_at),
    }
