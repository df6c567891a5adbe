"""`/playbooks`, `/incidents`, `/compliance`: what the machine did by itself, and what people do about it."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Incident, Rehearsal
from governance.selectors.playbooks import (
    incident_detail,
    incident_members,
    incident_queryset,
    playbook_get,
    playbook_members,
    playbook_queryset,
    rehearsal_members,
    rehearsal_queryset,
    report_get,
    report_members,
    report_queryset,
)
from governance.serializers.playbooks import (
    AfterActionRequestSerializer,
    IncidentDetailSerializer,
    IncidentSerializer,
    PlaybookRequestSerializer,
    PlaybookSerializer,
    RehearsalSerializer,
    ReportFileSerializer,
    ReportSerializer,
    WhySerializer,
)
from governance.services.playbooks import (
    after_action_write,
    incident_close,
    incident_review,
    incident_undo,
    playbook_change,
    rehearsal_start,
)
from governance.services.playbooks.changing import FIELDS
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response, json_safe
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.models import ChangeRequest
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of


class PlaybookListView(MembersListView):
    """Every playbook with its rule, its steps and what it last saw."""

    serializer_class = PlaybookSerializer
    ordering = ("family", "name")

    def get_queryset(self) -> Any:
        return playbook_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [playbook_members(row) for row in rows]


class PlaybookDetailView(APIView):
    """One playbook; change it: at once where it acts earlier or does more, else by request."""

    required = {"GET": "read", "PUT": "risk.propose"}

    @extend_schema(operation_id="playbooks_retrieve", responses=PlaybookSerializer)
    def get(self, request: Request, name: str) -> Response:
        return Response(playbook_members(playbook_get(name)))

    @extend_schema(
        operation_id="playbooks_change",
        request=PlaybookRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: PlaybookSerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def put(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(PlaybookRequestSerializer, request)
        given = {field: values[field] for field in FIELDS if field in values}
        if "actions" in given:
            given["actions"] = [_numbers(json_safe(row)) for row in given["actions"]]
        outcome = playbook_change(
            name=name,
            values=given,
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        if isinstance(outcome, ChangeRequest):
            return approval_response(outcome)
        return Response(playbook_members(playbook_get(name)))


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A step with its factor as a number; the parser keeps decimals as text."""
    factor = row.get("factor")
    if isinstance(factor, str):
        try:
            return {**row, "factor": float(factor)}
        except ValueError:
            return row
    return row


class RehearseView(APIView):
    """Put a fault into the paper exchange on purpose, and have the response marked."""

    required = {"POST": "playbooks.operate"}

    @extend_schema(
        operation_id="playbooks_rehearse",
        request=WhySerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: RehearsalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(WhySerializer, request)
        row = rehearsal_start(name=name, actor=person_of(request), reason=values["reason"])
        return Response(rehearsal_members(row), status=202)


class RehearsalFilter(StrictFilterSet):
    playbook = filters.CharFilter(field_name="playbook__name")

    class Meta:
        model = Rehearsal
        fields = ("state",)


class RehearsalListView(MembersListView):
    """Rehearsals and their marks, newest first."""

    serializer_class = RehearsalSerializer
    filterset_class = RehearsalFilter
    ordering = ("-id",)

    def get_queryset(self) -> Any:
        return rehearsal_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [rehearsal_members(row) for row in rows]


class IncidentFilter(StrictFilterSet):
    playbook = filters.CharFilter(field_name="playbook__name")

    class Meta:
        model = Incident
        fields = ("kind", "scope", "state", "severity", "is_rehearsal")


class IncidentListView(MembersListView):
    """Incidents, newest first."""

    serializer_class = IncidentSerializer
    filterset_class = IncidentFilter
    ordering = ("-id",)

    def get_queryset(self) -> Any:
        return incident_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [incident_members(row) for row in rows]


class IncidentDetailView(APIView):
    """One incident with its evidence, its timeline and every step taken because of it."""

    required = {"GET": "read"}

    @extend_schema(operation_id="incidents_retrieve", responses=IncidentDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(incident_detail(pk))


class IncidentReviewView(APIView):
    """Say what the cause was and why it is over. A person's, with a recent log-in."""

    required = {"POST": "incidents.review"}
    person_only = {"POST"}

    @extend_schema(
        operation_id="incidents_review",
        request=WhySerializer,
        parameters=[OPTIONAL_KEY],
        responses=IncidentDetailSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(WhySerializer, request)
        incident_review(incident_id=pk, reviewer=person_of(request), text=values["reason"])
        return Response(incident_detail(pk))


class IncidentAfterActionView(APIView):
    """Write down what happened, why, and what will change; of any incident, as often as there is something to say."""

    required = {"POST": "playbooks.operate"}

    @extend_schema(
        operation_id="incidents_after_action",
        request=AfterActionRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=IncidentDetailSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(AfterActionRequestSerializer, request)
        after_action_write(incident_id=pk, author=person_of(request), **values)
        return Response(incident_detail(pk))


class IncidentUndoView(APIView):
    """Ask for everything that was done because of it to be taken back: one request for each step.

    Each step is asked for in the asker's name, so a step only a risk officer may ask for (a lower level) refuses
    the whole of it to others. Like a resume it is for people.
    """

    required = {"POST": "risk.propose"}
    person_only = {"POST"}

    @extend_schema(
        operation_id="incidents_undo",
        request=WhySerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer(many=True)},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(WhySerializer, request)
        made = incident_undo(incident_id=pk, requester=person_of(request), reason=values["reason"])
        return Response(ApprovalSerializer(made, many=True).data, status=202)


class IncidentCloseView(APIView):
    """Close an incident whose cause is over; nothing is undone by it."""

    required = {"POST": "playbooks.operate"}

    @extend_schema(
        operation_id="incidents_close",
        request=WhySerializer,
        parameters=[OPTIONAL_KEY],
        responses=IncidentDetailSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(WhySerializer, request)
        incident_close(incident_id=pk, actor=person_of(request), reason=values["reason"])
        return Response(incident_detail(pk))


class ComplianceDownloadView(APIView):
    """One day's report as the file that was written: the report, and the SHA-256 of its canonical text."""

    required = {"GET": "read"}

    @extend_schema(operation_id="compliance_download", responses=ReportFileSerializer)
    def get(self, request: Request, day: str) -> Response:
        check_parameters(request, ())
        row = report_get(day)
        name = f'attachment; filename="compliance-{row.day.isoformat()}.json"'
        return Response({"report": row.content, "sha256": row.digest}, headers={"Content-Disposition": name})


class ComplianceListView(MembersListView):
    """Daily compliance reports, the newest day first."""

    serializer_class = ReportSerializer
    ordering = ("-day",)

    def get_queryset(self) -> Any:
        return report_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [report_members(row) for row in rows]
