"""`/risk/`: limits, breakers, levels by scope."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.risk import risk_state
from governance.views import catalogue, risk_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Risk(Page):
    name = "risk"
    title = "Risk and breakers"
    template = "governance/risk.html"
    topics = ("trading_state", "breakers", "orders", "approvals")
    tables = (
        catalogue.STATES,
        catalogue.LIMITS,
        risk_tables.BLACKOUTS,
        catalogue.RAILS,
        catalogue.BREAKERS,
        catalogue.DENIALS,
        catalogue.ENFORCEMENTS,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return risk_state()
