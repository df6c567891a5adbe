"""`/people/`: who is here, what their role lets them do, their tokens and sessions, the exchange keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.selectors.inbox import require_user
from governance.selectors.people import people_state
from governance.views import people_tables
from governance.views.page import Page
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.powers import role_now
from nautilus_site.common.services.tokens import MAXIMUM_LIFE, token_scopes


class People(Page):
    name = "people"
    title = "People"
    template = "governance/people.html"
    topics = ("approvals", "trading_state")
    parameters = ("role",)
    tables = (
        people_tables.PEOPLE,
        people_tables.TOKENS,
        people_tables.SESSIONS,
        people_tables.KEYS,
        people_tables.MATRIX,
        people_tables.VIEWS,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return people_state(user, session_key=request.session.session_key)

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"roles": Role.choices, "role": role_now(require_user(request.user))}

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        user = require_user(request.user)
        return {
            "roles": list(Role.values),
            "scopes": token_scopes(user),
            "token_days": MAXIMUM_LIFE.days,
        }
