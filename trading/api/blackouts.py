"""`/blackouts`: windows without new risk. Setting one is immediate, ending one early takes a second person."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import BlackoutFilter, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.selectors.blackouts import blackout_members, blackout_queryset
from trading.serializers.blackouts import BlackoutRequestSerializer, BlackoutSerializer
from trading.serializers.controls import ReasonedProposalSerializer
from trading.services.controls.blackouts import blackout_end_request, blackout_set


class BlackoutListView(MembersListView):
    """Blackouts, the latest to begin first; set one."""

    required = {"GET": "read", "POST": "kill.raise"}
    serializer_class = BlackoutSerializer
    filterset_class = BlackoutFilter
    ordering_fields = ("starts_at", "ends_at")

    def get_queryset(self) -> Any:
        return blackout_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [blackout_members(row) for row in rows]

    @extend_schema(
        operation_id="blackouts_set",
        description="In force when this answers, or from `starts_at` on. What reduces a position still passes.",
        request=BlackoutRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={201: BlackoutSerializer},
        examples=[
            OpenApiExample(
                "maintenance of a venue",
                value={
                    "scope": "venue:binance-spot",
                    "ends_at": "2026-12-01T04:00:00Z",
                    "reason": "announced maintenance",
                },
                request_only=True,
            )
        ],
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(BlackoutRequestSerializer, request)
        window = blackout_set(
            scope=values["scope"],
            starts_at=values["starts_at"],
            ends_at=values["ends_at"],
            reason=values["reason"],
            actor=person_of(request),
        )
        return Response(blackout_members(window), status=201)


class BlackoutEndView(APIView):
    """Ask for a blackout to end before its time."""

    required = {"POST": "risk.propose"}

    @extend_schema(
        operation_id="blackouts_end",
        request=ReasonedProposalSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(ReasonedProposalSerializer, request)
        created = blackout_end_request(
            blackout_id=pk,
            requester=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)
