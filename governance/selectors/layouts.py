"""Whose arrangement of a page holds: one's own, else that of one's role, else the page's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from governance.domain.layouts import Panel, Place, arranged
from governance.models import PageLayout
from nautilus_site.common.models import User

OWN, ROLE, PAGE = "own", "role", "page"


@dataclass(frozen=True, slots=True)
class Shown:
    """Every panel of a page in its order, and whose arrangement that is."""

    source: str
    places: tuple[Place, ...]


def layout_shown(user: User, page: str, panels: Sequence[Panel]) -> Shown:
    """How a page stands for a person.

    By the role that is theirs for good: a break-glass session is no moment to find everything elsewhere.
    """
    rows = PageLayout.objects.filter(Q(person=user) | Q(person=None, role=user.role), page=page)
    kept = {OWN if row.person_id else ROLE: places_read(row.places) for row in rows}
    source = OWN if OWN in kept else ROLE if ROLE in kept else PAGE
    return Shown(source, arranged(panels, kept.get(source, ())))


def layout_of_role(role: str, page: str) -> tuple[Place, ...] | None:
    """What was published for a role, as it was kept; None where nothing was."""
    row = PageLayout.objects.filter(page=page, person=None, role=role).first()
    return None if row is None else places_read(row.places)


def roles_with_layout(page: str) -> list[str]:
    """Roles that a default of this page was published for."""
    return list(PageLayout.objects.filter(page=page, person=None).values_list("role", flat=True))


def places_read(kept: Sequence[Mapping[str, Any]]) -> tuple[Place, ...]:
    """The rows' JSON as places."""
    return tuple(
        Place(row["name"], row.get("width"), row.get("height", ""), row.get("folded", False)) for row in kept
    )


def places_kept(places: Sequence[Place]) -> list[dict[str, Any]]:
    """Places as the rows' JSON: only what differs from the page."""
    return [
        {"name": place.name}
        | ({"width": place.width} if place.width else {})
        | ({"height": place.height} if place.height else {})
        | ({"folded": True} if place.folded else {})
        for place in places
    ]


def place_members(places: Sequence[Place], panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """Places as pages and API tell them, with what each panel allows."""
    known = {panel.name: panel for panel in panels}
    return [
        {
            "name": place.name,
            "title": known[place.name].title,
            "width": place.width or known[place.name].width,
            "height": place.height,
            "folded": place.folded,
            "may_fold": not known[place.name].stays,
            "may_resize": not known[place.name].fixed,
            "scrolls": known[place.name].scrolls,
        }
        for place in places
    ]
