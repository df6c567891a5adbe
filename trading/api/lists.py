"""Lists whose rows are written by the selectors that pages and events use too."""

from __future__ import annotations

from typing import Any

from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response


class MembersListView(generics.ListAPIView[Any]):
    """A filtered, paginated list. `serializer_class` documents what `members` answers."""

    required = {"GET": "read"}

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        """The public members of one page of rows."""
        raise NotImplementedError

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.members(list(page or [])))
