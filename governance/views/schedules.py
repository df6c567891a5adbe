"""`/schedules/`: periodic jobs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.schedules import schedules_state
from governance.views import alert_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Schedules(Page):
    name = "schedules"
    title = "Schedules"
    template = "governance/schedules.html"
    topics = ("incidents", "approvals", "trading_state")
    tables = (alert_tables.SCHEDULES, alert_tables.SCHEDULE_RUNS, alert_tables.BY_HAND)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return schedules_state()
