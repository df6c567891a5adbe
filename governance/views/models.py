"""`/models/`: what is trained, what it looks like, what serves, and what is being trained now."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.selectors.models import models_state
from governance.views import model_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Models(Page):
    name = "models"
    title = "Models"
    template = "governance/models.html"
    topics = ("models", "trading_state", "approvals")
    tables = (
        model_tables.VERSIONS,
        model_tables.CANARIES,
        model_tables.VERDICTS,
        model_tables.TRAINING,
        model_tables.STUDIES,
        model_tables.SERVING,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return models_state()
