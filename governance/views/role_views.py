"""`/roles/NAME`: what a role would see and could do: its pages, and every route of the API that lets it through.

It stands with the pages because their navigation is half of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.views.navigation import reachable
from nautilus_site.common.errors import NotFound
from nautilus_site.common.models import Role
from nautilus_site.common.roles import PERMISSIONS, PERSON_ONLY, ROLE_PERMISSIONS, permits

API = "api/v1/"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class RolePageSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    href = serializers.CharField()


class RoleActionSerializer(serializers.Serializer[Any]):
    """One method of one route. `fresh`: only for a person whose log-in is at most five minutes old."""

    id = serializers.CharField()
    method = serializers.CharField()
    path = serializers.CharField()
    does = serializers.CharField()
    permission = serializers.CharField()
    means = serializers.CharField()
    fresh = serializers.BooleanField()


class RoleViewSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    name = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())
    pages = RolePageSerializer(many=True)
    admin = serializers.BooleanField()
    actions = RoleActionSerializer(many=True)


class RoleView(APIView):
    """What a role would see and could do, from the declarations that decide. Nobody acts as somebody else."""

    required = {"GET": "read"}

    @extend_schema(operation_id="roles_retrieve", responses={200: RoleViewSerializer})
    def get(self, request: Request, role: str) -> Response:
        if role not in Role.values:
            raise NotFound("ROLE_NOT_FOUND", f"expected one of {', '.join(Role.values)}")
        return Response(role_view(Role(role)))


def role_view(role: Role) -> dict[str, Any]:
    """The pages and actions of a role, from the declarations that decide: nothing here is written down twice."""
    held = ROLE_PERMISSIONS[role]
    return {
        "role": role.value,
        "name": str(role.label),
        "permissions": sorted(held),
        "pages": [{"title": page["title"], "href": page["href"]} for page in reachable(held)],
        "admin": role != Role.VIEWER,
        "actions": [action for action in routes(held) if permits(held, action["permission"])],
    }


def routes(held: frozenset[str]) -> list[dict[str, Any]]:
    """Every method of every route of the API with the permission it takes.

    One that depends on the body is told by the first of its alternatives that is held, so that it is open to any.
    """
    return [
        {
            "id": f"{method} {path}",
            "method": method,
            "path": path,
            "does": _first_line(view),
            "permission": permission,
            "means": PERMISSIONS[permission],
            "fresh": permission in PERSON_ONLY or method in getattr(view, "person_only", ()),
        }
        for path, view in _walk(get_resolver())
        for method, declared in sorted(view.required.items(), key=lambda item: _METHODS.index(item[0]))
        if hasattr(view, method.lower()) and permits(held, declared)
        for permission in [_taken(view, method, declared, held)]
    ]


def _taken(view: Any, method: str, declared: str, held: frozenset[str]) -> str:
    alternatives: tuple[str, ...] = getattr(view, "any_of", {}).get(method, (declared,))
    return next((each for each in alternatives if permits(held, each)), alternatives[0])


def _walk(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, path)
        elif isinstance(entry, URLPattern) and path.startswith(API):
            view = getattr(entry.callback, "cls", None)
            if view is not None and getattr(view, "required", None):
                yield f"/{path}", view


def _first_line(view: Any) -> str:
    return (inspect.getdoc(view) or "").partition("\n")[0]
