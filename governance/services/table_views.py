"""Keeping views of tables. A view decides nothing, so one person is enough; what others find is audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from governance.domain.table_states import StateRefused, TableShape, table_state
from governance.models import DefaultView, TableView
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.roles import PERMISSIONS, permits
from nautilus_site.common.services.audit import audit_record

SHARING: Final = "views.share"
REMOVING: Final = "views.delete"
MOST, MOST_SHARED = 30, 10
"""Of one person for one table."""

Shapes = Mapping[str, TableShape]


@transaction.atomic
def table_view_add(
    *,
    table: str,
    name: str,
    state: Any,
    person: User,
    held: frozenset[str],
    shapes: Shapes,
    shared: bool = False,
    default: bool = False,
) -> TableView:
    """Keep what a table shows under a name. `held` is what the person's credentials allow.

    Raises
    ------
    NotFound : TABLE_NOT_FOUND.  Forbidden : PERMISSION_DENIED, to share.
    ApplicationError : INVALID_VIEW; what the filters of the page are refused with.
    Conflict : VIEW_EXISTS, TOO_MANY_VIEWS.
    """
    if shared:
        _require(held, SHARING)
    view = TableView(
        owner=person,
        table=table,
        name=_name(name),
        state=_state(table, state, shapes),
        is_shared=shared,
        changed_at=now(),
    )
    _one_by_one(person)
    _check_place(view)
    view.save(force_insert=True)
    if default:
        _open_with(view, person)
    _record("table_view.shared", view, person, after=_told(view) if shared else None)
    return view


@transaction.atomic
def table_view_change(
    *, view_id: int, changes: Mapping[str, Any], person: User, held: frozenset[str], shapes: Shapes
) -> TableView:
    """Change `name`, `state` or `shared` of one's own view; open the table with it or not (`default`), shared or not.

    Raises
    ------
    NotFound : VIEW_NOT_FOUND, also for what somebody else keeps to themselves.
    Forbidden : NOT_YOUR_VIEW; PERMISSION_DENIED, to share or to change what is shared.
    And what `table_view_add` raises.
    """
    _one_by_one(person)
    view = _found(view_id, person)
    before = _told(view) if view.is_shared else None
    changed = {name: value for name, value in changes.items() if name != "default"}
    if changed:
        if view.owner_id != person.pk:
            raise Forbidden("NOT_YOUR_VIEW", "only who shares a view changes it; keep one of your own")
        view.name = _name(changed.get("name", view.name))
        view.is_shared = changed.get("shared", view.is_shared)
        if "state" in changed:
            view.state = _state(view.table, changed["state"], shapes)
        if view.is_shared:
            _require(held, SHARING)
        _check_place(view)
        view.changed_at = now()
        view.save(update_fields=["name", "state", "is_shared", "changed_at"])
        if not view.is_shared:
            view.defaults.exclude(user=person).delete()
        _record(
            "table_view.changed", view, person, before=before, after=_told(view) if view.is_shared else None
        )
    if changes.get("default") is True:
        _open_with(view, person)
    elif changes.get("default") is False:
        view.defaults.filter(user=person).delete()
    return view


@transaction.atomic
def table_view_delete(*, view_id: int, person: User, held: frozenset[str]) -> None:
    """Delete one's own view, or for who may one that somebody else shares. Who opened the table with it opens it plain.

    Raises
    ------
    NotFound : VIEW_NOT_FOUND.  Forbidden : PERMISSION_DENIED.
    """
    view = _found(view_id, person)
    if view.owner_id != person.pk:
        _require(held, REMOVING)
    before = _told(view) if view.is_shared else None
    number = view.pk
    view.delete()
    view.pk = number
    _record("table_view.deleted", view, person, before=before)


def _one_by_one(person: User) -> None:
    """What one person keeps is counted and added one after the other."""
    User.objects.select_for_update(no_key=True).get(pk=person.pk)


def _found(view_id: int, person: User) -> TableView:
    view = TableView.objects.select_for_update(no_key=True).filter(pk=view_id).first()
    if view is None or not (view.owner_id == person.pk or view.is_shared):
        raise NotFound("VIEW_NOT_FOUND", "no such view")
    return view


def _name(text: str) -> str:
    name = text.strip()
    if not (1 <= len(name) <= TableView.LONGEST_NAME and name.isprintable()):
        raise ApplicationError(
            "INVALID_VIEW", f"name: expected 1 to {TableView.LONGEST_NAME} characters in one line"
        )
    return name


def _state(table: str, given: Any, shapes: Shapes) -> dict[str, Any]:
    if table not in shapes:
        raise NotFound(
            "TABLE_NOT_FOUND", f"{table[:64]!r} is no table; expected page and table, such as orders.fills"
        )
    try:
        return table_state(given, shapes[table])
    except StateRefused as error:
        raise ApplicationError("INVALID_VIEW", str(error)) from None


def _check_place(view: TableView) -> None:
    others = TableView.objects.filter(owner=view.owner, table=view.table).exclude(pk=view.pk)
    if others.filter(name__iexact=view.name).exists():
        raise Conflict("VIEW_EXISTS", f"you have a view {view.name!r} of this table already")
    if others.count() >= MOST:
        raise Conflict("TOO_MANY_VIEWS", f"a person keeps at most {MOST} views of a table; delete one first")
    if view.is_shared and others.filter(is_shared=True).count() >= MOST_SHARED:
        raise Conflict("TOO_MANY_VIEWS", f"a person shares at most {MOST_SHARED} views of a table")


def _open_with(view: TableView, person: User) -> None:
    DefaultView.objects.update_or_create(user=person, table=view.table, defaults={"view": view})


def _require(held: frozenset[str], permission: str) -> None:
    if not permits(held, permission):
        raise Forbidden(
            "PERMISSION_DENIED",
            f"you lack the permission {permission} ({PERMISSIONS[permission]})",
            extra={"permission": permission},
        )


def _told(view: TableView) -> dict[str, Any]:
    return {"table": view.table, "name": view.name, "state": view.state}


def _record(action: str, view: TableView, person: User, *, before: Any = None, after: Any = None) -> None:
    """Note what others find or no longer find. What a person keeps to themselves is nobody's business."""
    if before is not None or after is not None:
        audit_record(action=action, target=f"view:{view.pk}", actor=person, before=before, after=after)
