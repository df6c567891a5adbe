"""`/risk/`: limits, breakers, levels by scope."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.risk import risk_state
from governance.views import risk_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Risk(Page):
    name = "risk"
    title = "Risk and breakers"
    template = "governance/risk.html"
    topics = ("trading_state", "breakers", "orders", "approvals")
    tables = (
        risk_tables.STATES,
        risk_tables.LIMITS,
        risk_tables.BLACKOUTS,
        risk_tables.RAILS,
        risk_tables.BREAKERS,
        risk_tables.DENIALS,
        risk_tables.ENFORCEMENTS,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return risk_state()
