"""Every page, in the groups of the navigation, with the permission that opens it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from nautilus_site.common.models import Role
from nautilus_site.common.roles import ROLE_PERMISSIONS, permits


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of the navigation: its route's name and its title."""

    name: str
    title: str
    permission: str = "read"


GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Trade",
        (
            Entry("command-center", "Command Center"),
            Entry("orders", "Blotter"),
            Entry("strategies", "Strategies"),
        ),
    ),
    (
        "Risk",
        (
            Entry("risk", "Risk"),
            Entry("capital", "Capital"),
            Entry("policies", "Policies"),
            Entry("reconcile", "Reconcile"),
        ),
    ),
    ("Models", (Entry("models", "Models"), Entry("research", "Research"))),
    (
        "Govern",
        (
            Entry("approvals", "Approvals"),
            Entry("playbooks", "Playbooks"),
            Entry("audit", "Audit", "audit.read"),
            Entry("people", "People"),
        ),
    ),
    (
        "Operate",
        (
            Entry("notifications", "Notifications"),
            Entry("schedules", "Schedules"),
            Entry("ops", "Operations"),
        ),
    ),
)
FOOT = (Entry("about", "About"),)
"""Pages that are linked in the foot."""


def navigation(page: str, held: Collection[str]) -> list[dict[str, Any]]:
    """The groups a person with these permissions sees, each with its pages; `current` holds the page shown."""
    groups = []
    for title, entries in GROUPS:
        pages = [entry for entry in entries if permits(held, entry.permission)]
        if pages:
            groups.append(
                {
                    "title": title,
                    "current": any(entry.name == page for entry in pages),
                    "has_approvals": any(entry.name == "approvals" for entry in pages),
                    "pages": [_members(entry) for entry in pages],
                }
            )
    return groups


def reachable(held: Collection[str]) -> list[dict[str, str]]:
    """Every page a person with these permissions may open, in the order of the navigation."""
    return [_members(entry) for entry in _all() if permits(held, entry.permission)]


def permission_of(page: str) -> str:
    """What opening a page needs. KeyError: a page without a place here."""
    return {entry.name: entry.permission for entry in _all()}[page]


def roles_that_open(page: str) -> list[str]:
    """Roles whose people may open a page."""
    return [role.value for role in Role if permits(ROLE_PERMISSIONS[role], permission_of(page))]


def _all() -> Iterator[Entry]:
    for _, entries in GROUPS:
        yield from entries
    yield from FOOT


def _members(entry: Entry) -> dict[str, str]:
    return {"name": entry.name, "title": entry.title, "href": reverse(entry.name)}
