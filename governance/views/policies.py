"""`/policies/`: what the machine may do by itself; checking a change before it is made."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.policies_page import policies_state
from governance.views.page import Page
from governance.views.tables import Column, Table
from nautilus_site.common.models import User

POLICIES = Table(
    "policies",
    "In force",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Policy"),
        Column("says", "Says", wrap=True),
        Column("version", "Version", "count"),
        Column("since", "Since", "time"),
        Column("by", "By"),
        Column("action", "", "action"),
    ),
    "/api/v1/policies",
    "There is no policy.",
    "`manage.py policy install` puts the first ones into force.",
    tall=False,
    compact=True,
)
VERSIONS = Table(
    "versions",
    "Versions",
    (
        Column("lamp", "State", "lamp"),
        Column("policy", "Policy"),
        Column("version", "Version", "count"),
        Column("digest", "Digest", "mono"),
        Column("created_by", "By"),
        Column("created_at", "Made", "time"),
        Column("reason", "Reason", wrap=True),
        Column("action", "", "action"),
    ),
    "/api/v1/policies",
    "No version was made yet.",
    "Every version stays; going back to one is a change like any other.",
)
FIRINGS = Table(
    "firings",
    "What rules did",
    (
        Column("lamp", "Outcome", "lamp"),
        Column("at", "At", "time"),
        Column("rule", "Rule"),
        Column("trigger", "When"),
        Column("evidence", "Seen", wrap=True),
        Column("action", "Action"),
        Column("detail", "Changed", wrap=True),
    ),
    "/api/v1/policies/firings",
    "No rule has fired.",
    "Rules of `policies` are judged every five seconds; what fires stays here.",
)


class Policies(Page):
    name = "policies"
    title = "Policies"
    template = "governance/policies.html"
    topics = ("approvals", "trading_state", "incidents")
    tables = (POLICIES, VERSIONS, FIRINGS)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return policies_state()
