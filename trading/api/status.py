"""`/status`: the state of the platform in one answer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from trading.api.filters import check_parameters
from trading.selectors.status import status_snapshot
from trading.serializers.strategies import StatusSerializer


class StatusView(APIView):
    """Everything at a glance."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="status_retrieve",
        description=(
            "The weak ETag covers everything but the ages, which follow from the times beside them: with "
            "`If-None-Match` an unchanged state answers 304."
        ),
        parameters=[OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER)],
        responses={200: StatusSerializer, 304: OpenApiResponse(description="nothing but the ages changed")},
    )
    def get(self, request: Request) -> Response:
        check_parameters(request, ())
        snapshot = status_snapshot()
        tag = state_tag(snapshot)
        known = {part.strip() for part in request.headers.get("If-None-Match", "").split(",")}
        response = Response(status=304) if tag in known or "*" in known else Response(snapshot)
        response["ETag"] = tag
        response["Cache-Control"] = "private, no-cache"
        return response


def state_tag(snapshot: dict[str, Any]) -> str:
    """A weak ETag of a snapshot without its moment and its ages."""
    text = json.dumps(_ageless(snapshot), sort_keys=True, separators=(",", ":"), default=str)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _ageless(value: Any, *, top: bool = True) -> Any:
    if isinstance(value, dict):
        return {
            key: _ageless(item, top=False)
            for key, item in value.items()
            if not key.endswith("age_s") and key != "lag_s" and not (top and key == "at")
        }
    if isinstance(value, list):
        return [_ageless(item, top=False) for item in value]
    return value
