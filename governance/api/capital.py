"""`/allocations`: who has how much capital, why, and asking for what only two people may grant."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Allocation, AllocationRun
from governance.selectors.capital import allocation_members, allocation_queryset, run_members, run_queryset
from governance.selectors.leaderboard import leaderboard_members
from governance.serializers.capital import (
    AllocationRunSerializer,
    AllocationSerializer,
    AskSerializer,
    LeaderboardSerializer,
    WhatIfAnswerSerializer,
    WhatIfSerializer,
)
from governance.services.capital_requests import allocation_request
from governance.services.capital_reset import reset_request
from governance.services.capital_what_if import capital_what_if
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of


class AllocationFilter(StrictFilterSet):
    class Meta:
        model = Allocation
        fields = ("strategy", "run", "rule")


class AllocationListView(MembersListView):
    """Every strategy of every run, newest first: also the changes that were not made, with their reason."""

    serializer_class = AllocationSerializer
    filterset_class = AllocationFilter
    ordering_fields = ("id",)

    def get_queryset(self) -> Any:
        return allocation_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [allocation_members(row) for row in rows]


class RunFilter(StrictFilterSet):
    class Meta:
        model = AllocationRun
        fields = ("outcome", "method")


class AllocationRunListView(MembersListView):
    """The runs, with pool, drawdown and explanation."""

    serializer_class = AllocationRunSerializer
    filterset_class = RunFilter
    ordering_fields = ("id",)

    def get_queryset(self) -> Any:
        return run_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [run_members(row) for row in rows]


class AllocationRequestView(APIView):
    """Ask for what a run held back because it lies beyond the envelope."""

    required = {"POST": "capital.propose"}

    @extend_schema(
        operation_id="allocation_request",
        request=AskSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(AskSerializer, request)
        return approval_response(
            allocation_request(
                run_id=pk,
                requester=person_of(request),
                reason=values["reason"],
                expires_in_s=values.get("expires_in_s"),
            )
        )


class LeaderboardView(APIView):
    """Strategies ranked by the lower end of the interval of their Sharpe ratio, those of a month at most."""

    required = {"GET": "read"}

    @extend_schema(operation_id="leaderboard", responses=LeaderboardSerializer(many=True))
    def get(self, request: Request) -> Response:
        check_parameters(request, ())
        return Response(leaderboard_members())


class AllocationWhatIfView(APIView):
    """What the allocator would decide under other members of the policy. It changes nothing."""

    required = {"POST": "read"}

    @extend_schema(
        operation_id="allocation_what_if", request=WhatIfSerializer, responses=WhatIfAnswerSerializer
    )
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        return Response(capital_what_if(validated(WhatIfSerializer, request)["changes"]))


class AllocationResetView(APIView):
    """Ask for capital to be given out again after the hard drawdown."""

    required = {"POST": "capital.propose"}

    @extend_schema(
        operation_id="allocation_reset",
        request=AskSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(AskSerializer, request)
        return approval_response(reset_request(requester=person_of(request), reason=values["reason"]))
