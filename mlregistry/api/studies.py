"""`/models/studies`: many training runs asked for at once, shared by any number of workers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlregistry.models import TrainingStudy
from mlregistry.selectors.studies import study_detail, study_get, study_members, study_queryset
from mlregistry.serializers import (
    StudyDetailSerializer,
    StudyRequestSerializer,
    StudySerializer,
    StudyStartedSerializer,
)
from mlregistry.services.training import study_cancel, study_request
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.domain.values import split_symbol


class StudyFilter(StrictFilterSet):
    class Meta:
        model = TrainingStudy
        fields = {"requested_by__username": ["exact"]}


class StudyListView(MembersListView):
    """Studies, newest first; asking for one queues its runs."""

    required = {"GET": "read", "POST": "models.train"}
    serializer_class = StudySerializer
    filterset_class = StudyFilter
    ordering_fields = ("created_at",)

    def get_queryset(self) -> Any:
        return study_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [study_members(row) for row in rows]

    @extend_schema(
        operation_id="models_study",
        request=StudyRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: StudyStartedSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(StudyRequestSerializer, request)
        common = {
            "model": values["model"],
            "interval": values["interval"],
            "features": values["features"],
            **{name: values[name].isoformat() if values[name] else None for name in ("start", "end")},
        }
        models = []
        for text in values["symbols"]:
            try:
                symbol, market = split_symbol(text)
            except ValueError as error:
                raise ApplicationError("UNKNOWN_SYMBOL", str(error), status=404) from None
            models.append(
                {**common, "symbol": symbol, "market": market.value if market else values["market"]}
            )
        study = study_request(
            models=models, states=values["states"], seeds=values["seeds"], requester=person_of(request)
        )
        return Response({"study_id": str(study.uid), "runs": study.runs.count()}, status=202)


class StudyDetailView(APIView):
    """One study: followed, or canceled."""

    required = {"GET": "read", "DELETE": "models.train"}

    @extend_schema(operation_id="models_studies_retrieve", responses=StudyDetailSerializer)
    def get(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        return Response(study_detail(study_get(uid)))

    @extend_schema(
        operation_id="models_studies_cancel",
        parameters=[OPTIONAL_KEY],
        responses={202: StudyDetailSerializer},
    )
    @idempotent()
    def delete(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        study_cancel(study=study_get(uid), actor=person_of(request))
        return Response(study_detail(study_get(uid)), status=202)
