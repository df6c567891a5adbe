"""`/approvals/`: what waits for a second person."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.inbox import inbox_state
from governance.views import people_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Approvals(Page):
    name = "approvals"
    title = "Approvals"
    template = "governance/approvals.html"
    topics = ("approvals", "trading_state")
    parameters = ("show",)
    tables = (people_tables.HISTORY, people_tables.DUTIES, people_tables.DECISIONS)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return inbox_state(user)
