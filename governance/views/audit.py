"""`/audit/`: who changed what, when, from what to what."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.audit_page import AuditFilter, audit_page_state
from governance.views import people_tables
from governance.views.page import BEFORE, Page
from nautilus_site.common.models import User


class Audit(Page):
    name = "audit"
    title = "Audit"
    template = "governance/audit.html"
    topics = ("approvals", "trading_state")
    filters, filtered = AuditFilter, people_tables.AUDIT.name
    parameters = (BEFORE,)
    tables = (people_tables.AUDIT,)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return audit_page_state(AuditFilter.from_query(request.GET))

    def context(self, request: HttpRequest, state: Any) -> dict[str, Any]:
        """What was typed, also where it is no filter: it is there to be mended."""
        return {"filter": {**state["filter"], **{name: self.asked.get(name, "") for name in state["filter"]}}}
