"""`/schedules`: periodic jobs, their last run, and how often they run."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.selectors.schedules import (
    run_members,
    run_queryset,
    schedule_members,
    schedule_queryset,
    states_by_name,
)
from governance.serializers.schedules import (
    ScheduleRequestSerializer,
    ScheduleRunRequestSerializer,
    ScheduleRunSerializer,
    ScheduleSerializer,
)
from governance.services.schedules import schedule_change, schedule_run
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.models import ChangeRequest
from trading.api.controls import validated
from trading.api.filters import check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of


class ScheduleListView(MembersListView):
    """Every periodic job with its last run, how it ended, the next one, and how late it is."""

    serializer_class = ScheduleSerializer
    ordering = ("name",)

    def get_queryset(self) -> Any:
        return schedule_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        states = states_by_name()
        return [schedule_members(row, states.get(row.name)) for row in rows]


class ScheduleDetailView(APIView):
    """Change how often a job runs: at once where it is more often, else by request."""

    required = {"PUT": "platform.propose"}

    @extend_schema(
        operation_id="schedules_change",
        request=ScheduleRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: ScheduleSerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def put(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(ScheduleRequestSerializer, request)
        outcome = schedule_change(
            schedule_id=pk,
            values={name: values[name] for name in ("every_s", "is_enabled") if name in values},
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        if isinstance(outcome, ChangeRequest):
            return approval_response(outcome)
        return Response(schedule_members(outcome, states_by_name().get(outcome.name)))


class ScheduleRunView(APIView):
    """Have a job that raises no risk run at once, while no run of it is queued or under way."""

    required = {"POST": "schedules.run"}

    @extend_schema(
        operation_id="schedules_run",
        request=ScheduleRunRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ScheduleRunSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(ScheduleRunRequestSerializer, request)
        run = schedule_run(schedule_id=pk, actor=person_of(request), reason=values["reason"])
        return Response(run_members(run), status=202)


class ScheduleRunListView(MembersListView):
    """Runs that people asked for, newest first, with how far each is."""

    serializer_class = ScheduleRunSerializer

    def get_queryset(self) -> Any:
        return run_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [run_members(row) for row in rows]
