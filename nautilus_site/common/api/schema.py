"""OpenAPI: how to authenticate, the problem document on every operation, and the two pages that show it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from nautilus_site.common.api.permissions import DeclaredPermission
from nautilus_site.common.api.problems import CONTENT_TYPE

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 problem document; `code` is stable, other members depend on it.",
    "required": ["type", "title", "status", "detail", "code", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
    "additionalProperties": True,
}
EVERYWHERE = {"401": "no valid credentials", "403": "a permission is missing", "429": "too many requests"}
WITH_BODY = {
    "400": "malformed or invalid",
    "409": "conflicts with what is stored",
    "415": "not JSON",
    "422": "refused by a rule",
}


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "nautilus_site.common.api.authentication.BearerTokenAuthentication"
    name = "bearerToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class BrowserSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "nautilus_site.common.api.authentication.SessionAuthentication"
    name = "browserSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        from django.conf import settings

        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def add_problem_responses(result: dict[str, Any], generator: Any, **_: Any) -> dict[str, Any]:
    """Post-processing hook: every operation may answer with a problem document."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    for path, methods in result.get("paths", {}).items():
        for method, operation in methods.items():
            problems = dict(EVERYWHERE)
            if method in ("post", "put", "patch", "delete"):
                problems |= WITH_BODY
            if "parameters" in operation:
                problems["400"] = "malformed or invalid"
            if "{" in path:
                problems["404"] = "no such resource"
            for status, description in problems.items():
                operation.setdefault("responses", {}).setdefault(
                    status,
                    {
                        "description": description,
                        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                    },
                )
    return result


class ApiSchemaView(SpectacularAPIView):
    """The OpenAPI document, for everybody who may read."""

    required = {"GET": "read"}
    permission_classes = [DeclaredPermission]


class ApiDocsView(LoginRequiredMixin, SpectacularSwaggerSplitView):
    """Swagger UI from our own files, its script apart from the page so that no inline script is needed."""

    required = {"GET": "read"}
    permission_classes = [DeclaredPermission]
    url_name = "api-schema"
