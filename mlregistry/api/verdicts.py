"""`/models/{id}/judge` and `/models/verdicts`: the gate asked, followed, read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlregistry.models import GateVerdict
from mlregistry.selectors.verdicts import verdict_get, verdict_members, verdict_queryset
from mlregistry.selectors.versions import version_get
from mlregistry.serializers import JudgeRequestSerializer, TrainingStartedSerializer, VerdictSerializer
from mlregistry.services.judging import judge_cancel, judge_request
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of


class JudgeView(APIView):
    """Queue a judgement of a version; follow it at `/models/verdicts/{id}` or on topic `models`."""

    required = {"POST": "models.train"}

    @extend_schema(
        operation_id="models_judge",
        request=JudgeRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: TrainingStartedSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(JudgeRequestSerializer, request)
        verdict = judge_request(version=version_get(pk), requester=person_of(request), **values)
        return Response({"job_id": str(verdict.uid)}, status=202)


class VerdictFilter(StrictFilterSet):
    class Meta:
        model = GateVerdict
        fields = {
            "state": ["exact"],
            "passed": ["exact"],
            "version": ["exact"],
            "version__family__name": ["exact"],
        }


class VerdictListView(MembersListView):
    """Verdicts and judgements under way, newest first."""

    serializer_class = VerdictSerializer
    filterset_class = VerdictFilter
    ordering_fields = ("created_at",)

    def get_queryset(self) -> Any:
        return verdict_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [verdict_members(row) for row in rows]


class VerdictDetailView(APIView):
    """One verdict: read, or its judgement canceled."""

    required = {"GET": "read", "DELETE": "models.train"}

    @extend_schema(operation_id="models_verdicts_retrieve", responses=VerdictSerializer)
    def get(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        return Response(verdict_members(verdict_get(uid)))

    @extend_schema(
        operation_id="models_verdicts_cancel", parameters=[OPTIONAL_KEY], responses={202: VerdictSerializer}
    )
    @idempotent()
    def delete(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        judge_cancel(verdict=verdict_get(uid), actor=person_of(request))
        return Response(verdict_members(verdict_get(uid)), status=202)
