"""`/brackets`: what protects positions, moved and taken down."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from trading.api.filters import check_parameters
from trading.api.orders import OPTIONAL_KEY, exits_of_request, person_of
from trading.selectors.brackets import bracket_get, bracket_members, bracket_queryset
from trading.serializers.brackets import BracketMoveSerializer, BracketSerializer
from trading.services.brackets import bracket_cancel, bracket_move

NEWEST = 100


class BracketListView(APIView):
    """The newest brackets."""

    required = {"GET": "read"}

    @extend_schema(operation_id="brackets_list", responses=BracketSerializer(many=True))
    def get(self, request: Request) -> Response:
        check_parameters(request, ())
        return Response([bracket_members(row) for row in bracket_queryset()[:NEWEST]])


class BracketDetailView(APIView):
    """One bracket; DELETE takes the protection down for good and leaves the position."""

    required = {"GET": "read", "DELETE": "orders.place"}

    @extend_schema(operation_id="brackets_retrieve", responses=BracketSerializer)
    def get(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        return Response(bracket_members(bracket_get(pk)))

    @extend_schema(
        operation_id="brackets_cancel",
        description="Take the protection down; the position stays. 409 once the bracket is over.",
        parameters=[OPTIONAL_KEY],
        responses=BracketSerializer,
    )
    @idempotent()
    def delete(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        person = person_of(request)
        bracket_get(pk)
        bracket_cancel(bracket_id=pk, actor=person, reason=f"asked for by {person.username}")
        return Response(bracket_members(bracket_get(pk)))


class BracketMoveView(APIView):
    """Move the exits of a bracket, in either direction."""

    required = {"POST": "orders.place"}

    @extend_schema(
        operation_id="brackets_move",
        description="Change exits; what is left out stays. The old orders are gone before the new ones come.",
        request=BracketMoveSerializer,
        parameters=[OPTIONAL_KEY],
        responses=BracketSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        form = BracketMoveSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values: dict[str, Any] = form.validated_data
        bracket_get(pk)
        bracket_move(
            bracket_id=pk,
            wanted=exits_of_request(values).wanted(),
            actor=person_of(request),
            reason=values["reason"],
        )
        return Response(bracket_members(bracket_get(pk)))
