"""What all pages share: log-in, the frame around the content, the state as JSON for renewal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.views import View

from governance.domain.layouts import HEIGHTS, WIDTHS, Panel
from governance.domain.table_states import TableShape
from governance.selectors.inbox import require_user
from governance.selectors.layouts import Shown, layout_shown, roles_with_layout
from governance.selectors.shell import haltable_scopes, traded_symbols
from governance.selectors.table_views import page_views
from governance.views.layout_tags import panels_of
from governance.views.navigation import navigation, permission_of, reachable, roles_that_open
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
BEFORE = "before"
"""The parameter that says where the next page of a list begins: no filter, so no view keeps it."""
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
    filters: type[Any] | None = None  # a dataclass with `from_query`: what the address may narrow the rows by
    filtered = ""  # the table whose views keep the filters
    parameters: Sequence[str] = ()  # what else the address may say

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def panels(cls) -> tuple[Panel, ...]:
        """The panels of this page in the order of its template, whoever may see them."""
        return panels_of(cls.template, {table.name: table for table in cls.tables})

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        """More template context of this page."""
        return {}

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        """More configuration for this page's script."""
        return {}

    @classmethod
    def filter_names(cls) -> tuple[str, ...]:
        """The filters of the page as its address spells them."""
        if cls.filters is None:
            return ()
        return tuple(field.name for field in fields(cls.filters) if field.name != BEFORE)

    @classmethod
    def check_filters(cls, values: Mapping[str, str]) -> None:
        """Refuse values of filters that the page would refuse in its address.

        Raises
        ------
        ApplicationError : INVALID_FILTER.
        """
        if cls.filters is not None:
            cls.filters.from_query(QueryDict(urlencode(values)))

    def sound(self, query: QueryDict) -> dict[str, str]:
        """The filters of a query that the page takes, each looked at alone."""
        kept = {}
        for name in (*self.filter_names(), BEFORE) if self.filters else ():
            value = str(query.get(name, ""))
            try:
                self.check_filters({name: value})
            except ApplicationError:
                continue
            if value:
                kept[name] = value
        return kept

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
        problem, self.asked = "", request.GET
        left_out: list[str] = []
        try:
            state = self.state(request, user)
        except ApplicationError as error:
            # A wrong filter in a URL somebody shared: say so and show the page without it.
            problem = error.message
            kept = self.sound(request.GET)
            left_out = sorted({*self.filter_names(), BEFORE} & set(self.asked) - set(kept))
            request.GET = QueryDict(urlencode(kept))
            state = self.state(request, user)
        held = sorted(permissions_now(user))
        symbols = traded_symbols()
        panels = self.panels()
        layout = layout_shown(user, self.name, panels)
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
            "panels": {panel.name: panel for panel in panels},
            "places": {place.name: place for place in layout.places},
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
                "layout": self._layout(user, layout, panels, held),
                "filters": self.filter_names(),
                "filtered": self.filtered,
                "follows": {table.name: table.follows for table in self.tables if table.follows},
                "parameters": self.parameters,
                "left_out": left_out,
                "views": page_views(user, self.name),
                **self.client(request, state),
            },
            **self.context(request, state),
        }
        response = render(request, self.template, context)
        response["Cache-Control"] = "no-store"
        return response

    def _layout(
        self, user: User, layout: Shown, panels: Sequence[Panel], held: Sequence[str]
    ) -> dict[str, Any]:
        """What arranging the page starts from. `reset_url` answers what a reset leads to."""
        return {
            "arrangeable": len(panels) > 1,
            "url": reverse("api-layout", args=[self.name]),
            "source": layout.source,
            "reset_url": reverse("api-layout-role", args=[self.name, user.role]),
            "widths": WIDTHS,
            "heights": HEIGHTS,
            "roles": self._roles() if permits(held, "layouts.publish") else [],
        }

    def _roles(self) -> list[dict[str, Any]]:
        published = roles_with_layout(self.name)
        return [
            {"role": role, "name": str(Role(role).label), "published": role in published}
            for role in roles_that_open(self.name)
        ]


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


def table_shapes(pages: Iterable[type[Page]]) -> dict[str, TableShape]:
    """What each table of these pages can be told, by page and table (`orders.fills`)."""
    return {
        f"{page.name}.{table.name}": TableShape(
            table.shape_columns(),
            frozenset(page.filter_names()) if table.name == page.filtered else frozenset(),
            page.check_filters,
        )
        for page in pages
        for table in page.tables
    }
