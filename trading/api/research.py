"""`/backtests` and `/strategy-kinds`: research as jobs, and what there is to run."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError
from trading.api.controls import validated
from trading.api.filters import ResearchJobFilter, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.selectors.research import comparison, job_get, job_members, job_queryset
from trading.serializers.research import (
    ComparisonSerializer,
    JobRequestSerializer,
    JobSerializer,
    StrategyKindSerializer,
)
from trading.services.jobs import job_cancel, job_create, job_request, job_resume
from trading.services.strategy_kinds import strategy_kinds

MOST_COMPARED = 12


class BacktestListView(MembersListView):
    """Jobs, newest first; asking for one."""

    required = {"GET": "read", "POST": "backtests.run"}
    serializer_class = JobSerializer
    filterset_class = ResearchJobFilter
    ordering_fields = ("created_at", "finished_at")

    def get_queryset(self) -> Any:
        return job_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [job_members(row, brief=True) for row in rows]

    @extend_schema(
        operation_id="backtests_create",
        description="A worker runs it; `GET /backtests/{id}` shows progress and, meanwhile, partial figures.",
        request=JobRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: JobSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(JobRequestSerializer, request)
        job = job_create(request=job_request(values), actor=person_of(request))
        return Response(job_members(job), status=202, headers={"Location": f"/api/v1/backtests/{job.uid}"})


class BacktestDetailView(APIView):
    """One job; DELETE stops it."""

    required = {"GET": "read", "DELETE": "backtests.run"}

    @extend_schema(operation_id="backtests_retrieve", responses=JobSerializer)
    def get(self, request: Request, uid: Any) -> Response:
        check_parameters(request, ())
        return Response(job_members(job_get(uid)))

    @extend_schema(operation_id="backtests_cancel", responses=JobSerializer)
    def delete(self, request: Request, uid: Any) -> Response:
        check_parameters(request, ())
        return Response(job_members(job_cancel(uid=uid, actor=person_of(request))))


class BacktestActionView(APIView):
    """`/cancel` and `/resume`."""

    required = {"POST": "backtests.run"}
    action = "cancel"

    @extend_schema(request=None, parameters=[OPTIONAL_KEY], responses=JobSerializer)
    @idempotent()
    def post(self, request: Request, uid: Any) -> Response:
        check_parameters(request, ())
        act = job_cancel if self.action == "cancel" else job_resume
        return Response(job_members(act(uid=uid, actor=person_of(request))))


class BacktestCompareView(APIView):
    """Two or more jobs side by side."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="backtests_compare",
        parameters=[OpenApiParameter("id", OpenApiTypes.UUID, many=True, description="two or more")],
        responses=ComparisonSerializer,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request, ("id",))
        uids = list(dict.fromkeys(request.query_params.getlist("id")))
        if not 2 <= len(uids) <= MOST_COMPARED:
            raise ApplicationError("BAD_COMPARISON", f"expected 2 to {MOST_COMPARED} ids, were {len(uids)}")
        return Response(comparison([job_get(_uuid(uid)) for uid in uids]))


class StrategyKindsView(APIView):
    """Strategies that can be chosen by name: built in, from `$NAUTILUS_HOME/strategies/`, from packages."""

    required = {"GET": "read"}

    @extend_schema(operation_id="strategy_kinds", responses=StrategyKindSerializer(many=True))
    def get(self, request: Request) -> Response:
        check_parameters(request, ())
        return Response([kind.members() for kind in strategy_kinds()])


def _uuid(text: str) -> Any:
    try:
        return UUID(text)
    except ValueError:
        raise ApplicationError("BAD_COMPARISON", f"{text[:40]!r} is no job's id") from None
