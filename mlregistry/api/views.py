"""`/models`: training jobs, versions, inference, promotion and rollback."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion, TrainingRun
from mlregistry.selectors.versions import (
    canaries_at,
    champions_at,
    run_get,
    run_members,
    run_queryset,
    serving_members,
    version_detail,
    version_get,
    version_members,
    version_queryset,
)
from mlregistry.serializers import (
    InferenceSerializer,
    InferRequestSerializer,
    ModelDetailSerializer,
    ModelVersionSerializer,
    NotesRequestSerializer,
    PromoteRequestSerializer,
    RollbackRequestSerializer,
    ServingSerializer,
    StageRequestSerializer,
    TrainingRunSerializer,
    TrainingStartedSerializer,
    TrainRequestSerializer,
)
from mlregistry.services.inference import model_infer
from mlregistry.services.register import version_note
from mlregistry.services.stages import promotion_request, rollback, version_move
from mlregistry.services.training import training_cancel, training_request
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.domain.clock import written_moment
from trading.domain.errors import DomainError, IllegalTransition
from trading.domain.values import split_symbol
from trading.selectors.notation import utc_text


class VersionFilter(StrictFilterSet):
    class Meta:
        model = ModelVersion
        fields = {"stage": ["exact"], "family__symbol": ["exact"], "family__name": ["exact"]}


class ModelListView(MembersListView):
    """Registered versions, newest first."""

    serializer_class = ModelVersionSerializer
    filterset_class = VersionFilter
    ordering_fields = ("created_at", "number")

    def get_queryset(self) -> Any:
        return version_queryset().order_by("-id")

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [version_members(row) for row in rows]


class ModelDetailView(APIView):
    """One version with its lineage and history; its notes can be written."""

    required = {"GET": "read", "PATCH": "models.train"}

    @extend_schema(operation_id="models_retrieve", responses=ModelDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        return Response(version_detail(version_get(pk)))

    @extend_schema(
        operation_id="models_note",
        request=NotesRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=ModelVersionSerializer,
    )
    @idempotent()
    def patch(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(NotesRequestSerializer, request)
        version_note(version=version_get(pk), notes=values["notes"], actor=person_of(request))
        return Response(version_members(version_get(pk)))


class TrainView(APIView):
    """Queue a training run; follow it at `/models/jobs/{id}` or on topic `models`."""

    required = {"POST": "models.train"}

    @extend_schema(
        operation_id="models_train",
        request=TrainRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: TrainingStartedSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(TrainRequestSerializer, request)
        try:
            symbol, market = split_symbol(values["symbol"])
        except ValueError as error:
            raise ApplicationError("UNKNOWN_SYMBOL", str(error), status=404) from None
        values["symbol"] = symbol
        values["market"] = market.value if market else values["market"]
        for name in ("start", "end"):
            values[name] = values[name].isoformat() if values[name] else None
        run = training_request(asked=values, requester=person_of(request))
        return Response({"job_id": str(run.uid)}, status=202)


class RunFilter(StrictFilterSet):
    class Meta:
        model = TrainingRun
        fields = {"state": ["exact"], "family__name": ["exact"]}


class JobListView(MembersListView):
    """Training runs, newest first."""

    serializer_class = TrainingRunSerializer
    filterset_class = RunFilter
    ordering_fields = ("created_at",)

    def get_queryset(self) -> Any:
        return run_queryset().order_by("-id")

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [run_members(row) for row in rows]


class JobDetailView(APIView):
    """One training run: followed, or canceled."""

    required = {"GET": "read", "DELETE": "models.train"}

    @extend_schema(operation_id="models_jobs_retrieve", responses=TrainingRunSerializer)
    def get(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        return Response(run_members(run_get(uid)))

    @extend_schema(
        operation_id="models_jobs_cancel", parameters=[OPTIONAL_KEY], responses={202: TrainingRunSerializer}
    )
    @idempotent()
    def delete(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        training_cancel(run=run_get(uid), actor=person_of(request))
        return Response(run_members(run_get(uid)), status=202)


class PromoteView(APIView):
    """Ask for a version to trade."""

    required = {"POST": "models.propose"}

    @extend_schema(
        operation_id="models_promote",
        request=PromoteRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(PromoteRequestSerializer, request)
        try:
            created = promotion_request(
                version=version_get(pk),
                stage=Stage(values["stage"]),
                reason=values["reason"],
                requester=person_of(request),
                override=values["override"],
                canary=values["canary"],
                expires_in_s=values.get("expires_in_s"),
            )
        except IllegalTransition as error:
            raise Conflict("WRONG_STAGE", str(error)) from None
        return approval_response(created)


class StageView(APIView):
    """Move a version to a stage that does not trade, at once."""

    required = {"POST": "models.propose"}

    @extend_schema(
        operation_id="models_stage",
        request=StageRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=ModelDetailSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(StageRequestSerializer, request)
        try:
            moved = version_move(
                version_id=version_get(pk).pk,
                stage=Stage(values["stage"]),
                actor=person_of(request),
                reason=values["reason"],
            )
        except IllegalTransition as error:
            raise Conflict("WRONG_STAGE", str(error)) from None
        return Response(version_detail(version_get(moved.pk)))


class RollbackView(APIView):
    """Put the champion before this one back in force, at once: the way out never waits for a second person."""

    required = {"POST": "models.rollback"}

    @extend_schema(
        operation_id="models_rollback",
        request=RollbackRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=ModelDetailSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(RollbackRequestSerializer, request)
        version = version_get(pk)
        if version.stage != Stage.CHAMPION:
            raise Conflict(
                "NOT_CHAMPION", f"{version} is {version.stage}; a rollback names the present champion"
            )
        try:
            previous = rollback(family=version.family, actor=person_of(request), reason=values["reason"])
        except DomainError as error:
            raise Conflict("ARTEFACT_REFUSED", str(error)) from None
        return Response(version_detail(version_get(previous.pk)))


class InferView(APIView):
    """What a version says of the market now."""

    required = {"POST": "models.infer"}

    @extend_schema(operation_id="models_infer", request=InferRequestSerializer, responses=InferenceSerializer)
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(InferRequestSerializer, request)
        try:
            return Response(model_infer(version_get(pk), bars=values["bars"]))
        except DomainError as error:
            raise Conflict("NO_INFERENCE", str(error)) from None


class ServingView(APIView):
    """What is in force, and which worker decides with what; or what was in force at a past moment."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="models_serving",
        parameters=[OpenApiParameter("at", str, description="ISO 8601; the present unless said")],
        responses=ServingSerializer,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request, ("at",))
        text = request.query_params.get("at")
        moment = now()
        if text is not None:
            try:
                moment = written_moment(text.replace(" ", "+"))
            except ValueError:
                raise ApplicationError(
                    "VALIDATION", f"at: expected ISO 8601 with a time zone, was {text[:40]!r}"
                ) from None
        return Response(
            {
                "at": utc_text(moment),
                "champions": champions_at(moment),
                "canaries": canaries_at(moment),
                "workers": serving_members() if text is None else [],
            }
        )
