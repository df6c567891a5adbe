"""Lists: newest first, by cursor, so that rows arriving meanwhile neither repeat nor hide others."""

from __future__ import annotations

from typing import Any

from rest_framework import pagination
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


class NewestFirstPagination(pagination.CursorPagination):
    """`{"results", "next", "previous"}`; 100 a page, `?limit=` up to 500, `?ordering=` where the view allows.

    A view may set `ordering` (default `-id`) and `ordering_fields`, the non-null columns clients may order
    by.
    """

    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 500
    ordering = "-id"
    ordering_query_param = "ordering"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= self.max_page_size):
            raise ValidationError({"limit": [f"expected a number from 1 to {self.max_page_size}"]})
        return int(text)

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        declared = getattr(view, "ordering", None) or self.ordering
        default = (declared,) if isinstance(declared, str) else tuple(declared)
        wanted = request.query_params.get(self.ordering_query_param)
        if wanted is None:
            return default
        allowed = {name.lstrip("-") for name in default} | set(getattr(view, "ordering_fields", ()))
        if wanted.lstrip("-") not in allowed or wanted.startswith("--"):
            raise ValidationError(
                {"ordering": [f"expected one of {', '.join(sorted(allowed))}, or with - before"]}
            )
        # A unique last column keeps rows with equal values from falling between two pages.
        return (wanted, "-pk") if wanted.lstrip("-") not in ("id", "pk") else (wanted,)

    def decode_cursor(self, request: Request) -> Any:
        try:
            return super().decode_cursor(request)
        except Exception as error:
            if getattr(error, "status_code", None) == 404:
                raise ValidationError({"cursor": ["not a cursor of this list"]}) from None
            raise

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }
