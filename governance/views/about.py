"""`/about/`: versions, notices, where the other doors are."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import django
from django.http import HttpRequest

from governance.selectors.shell import shell_state
from governance.views.page import Page
from nautilus_site.common.models import Role, User

LIGHTWEIGHT_CHARTS = "5.2.1"


class About(Page):
    name = "about"
    title = "About"
    template = "governance/about.html"
    topics = ("trading_state", "approvals")

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return shell_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        role = getattr(request.user, "role", Role.VIEWER)
        return {
            "versions": [
                ("Python", platform.python_version()),
                ("Django", django.get_version()),
                ("Lightweight Charts", LIGHTWEIGHT_CHARTS),
            ],
            "may_administer": role != Role.VIEWER,
        }
