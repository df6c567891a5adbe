"""`/strategy/` and `/decisions`: what runs, what it decided, switching it on and off."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import DecisionFilter, StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.models import Strategy
from trading.selectors.decisions import decision_members, decision_queryset
from trading.selectors.strategies import strategies_members, strategy_get, strategy_queryset
from trading.serializers.controls import ReasonedProposalSerializer, ReasonRequestSerializer
from trading.serializers.strategies import StrategyDecisionSerializer, StrategySerializer
from trading.services.strategies import strategy_disable, strategy_enable_request


class StrategyFilter(StrictFilterSet):
    class Meta:
        model = Strategy
        fields = ("name", "kind", "interval", "is_enabled")


class StrategyListView(MembersListView):
    """Strategies with their instances."""

    serializer_class = StrategySerializer
    filterset_class = StrategyFilter
    ordering_fields = ("name", "updated_at")

    def get_queryset(self) -> Any:
        return strategy_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return strategies_members(rows)


class StrategyDetailView(APIView):
    """One strategy."""

    required = {"GET": "read"}

    @extend_schema(operation_id="strategy_retrieve", responses=StrategySerializer)
    def get(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        return Response(strategies_members([strategy_get(name)])[0])


class StrategyEnableView(APIView):
    """Ask for a strategy to be switched on: it raises risk, so somebody else decides."""

    required = {"POST": "change.request"}

    @extend_schema(
        operation_id="strategy_enable",
        request=ReasonedProposalSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(ReasonedProposalSerializer, request)
        created = strategy_enable_request(
            name=strategy_get(name).name,
            requester=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)


class StrategyDisableView(APIView):
    """Switch a strategy off, at once."""

    required = {"POST": "strategies.disable"}

    @extend_schema(
        operation_id="strategy_disable",
        request=ReasonRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=StrategySerializer,
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(ReasonRequestSerializer, request)
        disabled = strategy_disable(
            name=strategy_get(name).name, actor=person_of(request), reason=values["reason"]
        )
        return Response(strategies_members([disabled])[0])


class DecisionListView(MembersListView):
    """Decisions, newest first."""

    serializer_class = StrategyDecisionSerializer
    filterset_class = DecisionFilter
    ordering_fields = ("bar_open_at", "decided_at")

    def get_queryset(self) -> Any:
        return decision_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [decision_members(row) for row in rows]
