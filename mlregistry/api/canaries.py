"""`/canaries`: what trades beside a champion, how it stands, and the way out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlregistry.models import Canary
from mlregistry.selectors.canaries import canary_detail, canary_get, canary_members, canary_queryset
from mlregistry.serializers import (
    CanaryDetailSerializer,
    CanarySerializer,
    ExtendRequestSerializer,
    RollbackRequestSerializer,
)
from mlregistry.services.canaries import canary_rollback
from mlregistry.services.extensions import extension_request
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of


class CanaryFilter(StrictFilterSet):
    class Meta:
        model = Canary
        fields = {"state": ["exact"], "version": ["exact"], "version__family__name": ["exact"]}


class CanaryListView(MembersListView):
    """Canaries, newest first."""

    serializer_class = CanarySerializer
    filterset_class = CanaryFilter
    ordering_fields = ("started_at",)

    def get_queryset(self) -> Any:
        return canary_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [canary_members(row) for row in rows]


class CanaryDetailView(APIView):
    """One canary with its paired observations."""

    required = {"GET": "read"}

    @extend_schema(operation_id="canaries_retrieve", responses=CanaryDetailSerializer)
    def get(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        return Response(canary_detail(canary_get(uid)))


class CanaryRollbackView(APIView):
    """End a canary at once: capital and stage go back, its position is left."""

    required = {"POST": "models.rollback"}

    @extend_schema(
        operation_id="canaries_rollback",
        request=RollbackRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=CanaryDetailSerializer,
    )
    @idempotent()
    def post(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        values = validated(RollbackRequestSerializer, request)
        canary_rollback(canary=canary_get(uid), actor=person_of(request), reason=values["reason"])
        return Response(canary_detail(canary_get(uid)))


class CanaryExtendView(APIView):
    """Ask for more time; it goes on once somebody else approves, and ends by its rules until then."""

    required = {"POST": "models.propose"}

    @extend_schema(
        operation_id="canaries_extend",
        request=ExtendRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        values = validated(ExtendRequestSerializer, request)
        return approval_response(
            extension_request(
                canary=canary_get(uid),
                more_s=values["more_s"],
                reason=values["reason"],
                requester=person_of(request),
            )
        )
