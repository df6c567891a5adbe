"""What all pages share: log-in, the frame around the content, the state as JSON for renewal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.views import View

from governance.selectors.inbox import require_user
from governance.selectors.shell import haltable_scopes, traded_symbols
from governance.views.navigation import navigation, permission_of, reachable
from governance.views.tables import Table
from nautilus_site.common.errors import ApplicationError, Forbidden
from nautilus_site.common.models import Role, User
from nautilus_site.common.roles import PERMISSIONS, ROLE_PERMISSIONS, permits
from nautilus_site.common.services.powers import permissions_now, role_now

ENVIRONMENT_WORDS = {
    "local": "paper exchange on this machine · no real money",
    "testnet": "Binance spot test network · no real money",
    "demo": "Binance demo trading · no real money",
    "live": "REAL MONEY · orders go to Binance",
}
LEVELS = ("REDUCING", "HALT_NEW", "CANCEL", "FLATTEN")
ALL_TOPICS = (
    "orders",
    "fills",
    "equity",
    "trading_state",
    "breakers",
    "decisions",
    "approvals",
    "prices",
    "incidents",
    "models",
    "reconcile",
)


class Page(LoginRequiredMixin, View):
    """One page. Subclasses name it, list its tables and read its state."""

    name = ""
    title = ""
    template = ""
    tables: Sequence[Table] = ()
    topics: Sequence[str] = ("orders", "trading_state", "approvals")
    has_state = True

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        raise NotImplementedError

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        """More template context of this page."""
        return {}

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        """More configuration for this page's script."""
        return {}

    def user_of(self, request: HttpRequest) -> User:
        """The person who asks, if they may see this page.

        Raises
        ------
        Forbidden : PERMISSION_DENIED.
        """
        user = require_user(request.user)
        needed = permission_of(self.name)
        if not permits(permissions_now(user), needed):
            holders = [role.label for role in Role if permits(ROLE_PERMISSIONS[role], needed)]
            raise Forbidden(
                "PERMISSION_DENIED",
                f"you lack the permission {needed} ({PERMISSIONS[needed]}); who has it: {', '.join(holders)}",
            )
        return user

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            user = self.user_of(request)
        except Forbidden as error:
            raise PermissionDenied(error.message) from None
        status, problem, self.asked = 200, "", request.GET
        try:
            state = self.state(request, user)
        except ApplicationError as error:
            # A wrong filter in a URL somebody shared: say so and show the page without it.
            status, problem = error.status, error.message
            request.GET = type(request.GET)()
            state = self.state(request, user)
        held = sorted(permissions_now(user))
        symbols = traded_symbols()
        context = {
            "page": self.name,
            "title": self.title,
            "problem": problem,
            "environment": settings.BINANCE_ENV,
            "environment_words": ENVIRONMENT_WORDS[settings.BINANCE_ENV],
            "navigation": navigation(self.name, held),
            "scopes": (scopes := haltable_scopes(user)),
            "levels": LEVELS,
            "can": set(held),
            "csrf": get_token(request),
            "state": state,
            "tables": {table.name: table.rendered(state[table.name]) for table in self.tables},
            "config": {
                "page": self.name,
                "user": user.username,
                "role": role_now(user),
                "can": held,
                "environment": settings.BINANCE_ENV,
                "state_url": reverse(f"{self.name}-state") if self.has_state else None,
                "topics": list(self.topics),
                "pages": reachable(held),
                "symbols": symbols,
                "haltable": scopes,
                "tables": {table.name: table.members() for table in self.tables},
                **self.client(request, state),
            },
            **self.context(request, state),
        }
        response = render(request, self.template, context, status=status)
        response["Cache-Control"] = "no-store"
        return response


class PageState(LoginRequiredMixin, View):
    """The same state as JSON: what a page fetches after a reconnect and from time to time."""

    page: Page = Page()  # as_view() replaces it; it accepts only names that exist on the class

    @classmethod
    def of(cls, page: type[Page]) -> Any:
        """The view function for a page's state."""
        return cls.as_view(page=page())

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_authenticated:
            return JsonResponse({"code": "NOT_AUTHENTICATED", "detail": "log in again"}, status=401)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> JsonResponse:
        try:
            state = self.page.state(request, self.page.user_of(request))
        except ApplicationError as error:
            return JsonResponse({"code": error.code, "detail": error.message}, status=error.status)
        response = JsonResponse(state)
        response["Cache-Control"] = "no-store"
        return response
