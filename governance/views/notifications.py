"""`/notifications/`: who is told of what, and whether it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.domain.notices import SEVERITIES
from governance.selectors.alerting import channel_kinds, notifications_state
from governance.views import alert_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Notifications(Page):
    name = "notifications"
    title = "Notifications"
    template = "governance/notifications.html"
    topics = ("trading_state", "approvals", "incidents")
    tables = (alert_tables.CHANNELS, alert_tables.ROUTES, alert_tables.DELIVERIES)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return notifications_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"kinds": channel_kinds(), "severities": SEVERITIES}

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"channel_kinds": channel_kinds()}
