"""`/playbooks/`: what the machine does by itself, what it has done, and what people do about it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, JsonResponse
from django.views import View

from governance.selectors.playbooks import incident_detail, playbooks_state
from governance.views import alert_tables
from governance.views.page import Page
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User


class Playbooks(Page):
    name = "playbooks"
    title = "Playbooks and incidents"
    template = "governance/playbooks.html"
    topics = ("incidents", "trading_state", "approvals", "breakers")
    tables = (
        alert_tables.PLAYBOOKS,
        alert_tables.INCIDENTS,
        alert_tables.GAME_DAY,
        alert_tables.REHEARSALS,
        alert_tables.REPORTS,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return playbooks_state()


class IncidentState(LoginRequiredMixin, View):
    """One incident with its timeline, as JSON for the page."""

    def get(self, request: HttpRequest, pk: int) -> JsonResponse:
        try:
            response = JsonResponse(incident_detail(pk))
        except ApplicationError as error:
            return JsonResponse({"code": error.code, "detail": error.message}, status=error.status)
        response["Cache-Control"] = "no-store"
        return response
