"""`/layouts`: how the panels of a page stand, for oneself and for a role.

It stands with the pages: what panels there are is in their templates, and who opens which page in their navigation.
"""

from __future__ import annotations

from typing import Any

from django.urls import resolve, reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.domain.layouts import Panel, Place, arranged
from governance.selectors.layouts import PAGE, ROLE, layout_of_role, layout_shown, place_members
from governance.serializers.layouts import (
    LayoutPublishSerializer,
    LayoutRequestSerializer,
    LayoutSerializer,
    RoleLayoutSerializer,
)
from governance.services.layouts import layout_publish, layout_reset, layout_save, layout_withdraw
from governance.views.navigation import permission_of, roles_that_open
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import require_permission
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import Role
from trading.api.controls import validated
from trading.api.filters import check_parameters
from trading.api.orders import OPTIONAL_KEY, person_of


class LayoutView(APIView):
    """How the panels of a page stand for oneself; keep another arrangement, or go back to that of one's role."""

    required = {"GET": "read", "PUT": "layouts.own", "DELETE": "layouts.own"}

    @extend_schema(operation_id="layouts_retrieve", responses=LayoutSerializer)
    def get(self, request: Request, page: str) -> Response:
        check_parameters(request, ())
        return self._answer(request, page, panels_seen(request, page))

    @extend_schema(
        operation_id="layouts_save",
        request=LayoutRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=LayoutSerializer,
    )
    @idempotent()
    def put(self, request: Request, page: str) -> Response:
        panels = panels_seen(request, page)
        wanted = places(validated(LayoutRequestSerializer, request))
        ignored = layout_save(person=person_of(request), page=page, panels=panels, wanted=wanted)
        return self._answer(request, page, panels, ignored)

    @extend_schema(operation_id="layouts_reset", parameters=[OPTIONAL_KEY], responses=LayoutSerializer)
    @idempotent()
    def delete(self, request: Request, page: str) -> Response:
        panels = panels_seen(request, page)
        layout_reset(person=person_of(request), page=page)
        return self._answer(request, page, panels)

    def _answer(
        self, request: Request, page: str, panels: tuple[Panel, ...], ignored: tuple[str, ...] = ()
    ) -> Response:
        shown = layout_shown(person_of(request), page, panels)
        return Response(
            {
                "page": page,
                "source": shown.source,
                "panels": place_members(shown.places, panels),
                "ignored": list(ignored),
            }
        )


class RoleLayoutView(APIView):
    """What people of a role see who have no arrangement of their own; publish another one, or withdraw it."""

    required = {"GET": "read", "PUT": "layouts.publish", "DELETE": "layouts.publish"}

    @extend_schema(operation_id="layouts_roles_retrieve", responses=RoleLayoutSerializer)
    def get(self, request: Request, page: str, role: str) -> Response:
        check_parameters(request, ())
        panels = panels_seen(request, page)
        return self._answer(page, role_of(role), panels)

    @extend_schema(
        operation_id="layouts_roles_publish",
        request=LayoutPublishSerializer,
        parameters=[OPTIONAL_KEY],
        responses=RoleLayoutSerializer,
    )
    @idempotent()
    def put(self, request: Request, page: str, role: str) -> Response:
        panels = panels_seen(request, page)
        known, values = role_of(role), validated(LayoutPublishSerializer, request)
        if known not in roles_that_open(page):
            raise ApplicationError("ROLE_DOES_NOT_SEE", f"the role {known.label} does not open this page")
        ignored = layout_publish(
            role=known,
            page=page,
            panels=panels,
            wanted=places(values),
            actor=person_of(request),
            reason=values["reason"],
        )
        return self._answer(page, known, panels, ignored)

    @extend_schema(
        operation_id="layouts_roles_withdraw", parameters=[OPTIONAL_KEY], responses=RoleLayoutSerializer
    )
    @idempotent()
    def delete(self, request: Request, page: str, role: str) -> Response:
        panels = panels_seen(request, page)
        known = role_of(role)
        layout_withdraw(role=known, page=page, actor=person_of(request))
        return self._answer(page, known, panels)

    def _answer(
        self, page: str, role: Role, panels: tuple[Panel, ...], ignored: tuple[str, ...] = ()
    ) -> Response:
        published = layout_of_role(role, page)
        return Response(
            {
                "page": page,
                "role": role.value,
                "source": PAGE if published is None else ROLE,
                "panels": place_members(arranged(panels, published or ()), panels),
                "ignored": list(ignored),
            }
        )


def panels_seen(request: Any, page: str) -> tuple[Panel, ...]:
    """The panels of a page that the asker may open.

    Raises
    ------
    NotFound : PAGE_NOT_FOUND. Forbidden : PERMISSION_DENIED.
    """
    try:
        needed = permission_of(page)
    except KeyError:
        raise NotFound("PAGE_NOT_FOUND", "expected the name of a page, as in `config.page`") from None
    require_permission(request, needed)
    panels: tuple[Panel, ...] = resolve(reverse(page)).func.view_class.panels()  # type: ignore[attr-defined]
    return panels


def role_of(name: str) -> Role:
    """The role of this name.

    Raises
    ------
    NotFound : ROLE_NOT_FOUND.
    """
    if name not in Role.values:
        raise NotFound("ROLE_NOT_FOUND", f"expected one of {', '.join(Role.values)}")
    return Role(name)


def places(values: dict[str, Any]) -> tuple[Place, ...]:
    """A checked body as places."""
    return tuple(
        Place(panel["name"], panel.get("width"), panel["height"], panel["folded"])
        for panel in values["panels"]
    )
