"""`/kill`, `/resume`, `/limits`, `/breakers`: stopping is immediate, loosening takes a second person."""

from __future__ import annotations

import time
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import request_permissions, require_permission
from nautilus_site.common.models import ChangeRequest
from trading.api.filters import BreakerFilter, LimitFilter, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, TIMEOUT, person_of, timeout_parameter
from trading.domain.values import Level
from trading.selectors.breakers import breaker_get, breaker_members, breaker_queryset
from trading.selectors.controls import scope_check
from trading.selectors.limits import Use, limit_get, limit_loosens, limit_members, limit_queryset
from trading.selectors.what_if import limit_would_have
from trading.serializers.controls import (
    BreakerSerializer,
    KillReportSerializer,
    KillRequestSerializer,
    LimitChangeSerializer,
    LimitEffectQuerySerializer,
    LimitEffectSerializer,
    LimitSerializer,
    ReasonedProposalSerializer,
    ReasonRequestSerializer,
    ResumeRequestSerializer,
)
from trading.serializers.strict import RequestSerializer
from trading.services.breakers import breaker_force_open, breaker_reset_request
from trading.services.controls import (
    check_may_raise,
    kill_raise,
    kill_wait,
    limit_change,
    parse_scope,
    resume_request,
)
from trading.services.flatten import flatten_report

_PROPOSED = {202: ApprovalSerializer}


def validated(form_class: type[RequestSerializer], request: Request) -> dict[str, Any]:
    """The request's body, checked by its serializer."""
    form = form_class(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


class KillView(APIView):
    """Raise a level at once and say what the exchange has confirmed."""

    required = {"POST": "kill.raise:own_model"}  # which scopes, the service says

    @extend_schema(
        operation_id="kill",
        description=(
            "In force when this answers, whatever became of the cancels: `confirmed` says whether the "
            "exchange showed no open order any more. Asking again enforces again and never lowers. `flatten` (level "
            "FLATTEN) closes the positions of the scope once the cancels are confirmed; `flatten` in the answer "
            "and in `/status` says how far that is. A model owner raises `model:FAMILY@NUMBER` of models they had "
            "trained or registered; any other scope is 403 `OWN_MODEL_ONLY`."
        ),
        request=KillRequestSerializer,
        parameters=[TIMEOUT, OPTIONAL_KEY],
        responses=KillReportSerializer,
        examples=[
            OpenApiExample("stop everything", value={"reason": "prices look wrong"}, request_only=True),
            OpenApiExample(
                "one strategy, orders stay",
                value={"scope": "strategy:trend", "level": "HALT_NEW", "reason": "parameters in doubt"},
                request_only=True,
            ),
        ],
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, {"timeout"})
        timeout_s = float(timeout_parameter(request))
        values = validated(KillRequestSerializer, request)
        # The word "global" needs no look-up: stopping everything must not depend on one more read.
        scope = parse_scope(values["scope"])
        # A token may be narrower than its owner's role, which is all the service knows.
        check_may_raise(person_of(request), scope, request_permissions(request))
        scope_check(scope)
        level = Level.FLATTEN if values["flatten"] else Level[values["level"]]
        started = time.monotonic()
        kill_raise(
            scope=scope,
            level=level,
            reason=values["reason"],
            actor=person_of(request),
            include_stops=values["include_stops"],
        )
        report = kill_wait(scope=scope, timeout_s=timeout_s)
        return Response(
            {
                "scope": report.scope,
                "level": report.level.name,
                "cancel_requested": report.cancel_requested,
                "open_orders_remaining": report.open_orders_remaining,
                "confirmed": report.confirmed,
                "elapsed_s": round(time.monotonic() - started, 3),
                **({"flatten": flatten_report(scope)} if report.level is Level.FLATTEN else {}),
            }
        )


class ResumeView(APIView):
    """Ask for a lower level: always a request that somebody else decides."""

    required = {"POST": "kill.resume"}

    @extend_schema(
        operation_id="resume",
        request=ResumeRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=_PROPOSED,
        examples=[
            OpenApiExample(
                "trade again",
                value={"scope": "global", "to_level": "ACTIVE", "reason": "prices were checked"},
                request_only=True,
            )
        ],
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(ResumeRequestSerializer, request)
        created = resume_request(
            scope=values["scope"],
            to_level=Level[values["to_level"]],
            reason=values["reason"],
            requester=person_of(request),
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)


class LimitListView(MembersListView):
    """Limits in force beside what is used of each."""

    serializer_class = LimitSerializer
    filterset_class = LimitFilter
    ordering_fields = ("name", "changed_at")

    def get_queryset(self) -> Any:
        return limit_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        use = Use.read()
        return [limit_members(row, use) for row in rows]


class LimitDetailView(APIView):
    """Change one limit: 200 when it tightens, 202 with a request when it loosens."""

    required = {"GET": "read", "PUT": "read"}
    any_of = {"PUT": ("limits.tighten", "risk.propose")}

    @extend_schema(
        operation_id="limits_retrieve",
        parameters=[OpenApiParameter("scope", str, description="global unless said")],
        responses=LimitSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        check_parameters(request, {"scope"})
        limit = limit_get(name, parse_scope(request.query_params.get("scope", "global")))
        return Response(limit_members(limit, Use.read()))

    @extend_schema(
        operation_id="limits_change",
        request=LimitChangeSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: LimitSerializer, **_PROPOSED},
        examples=[
            OpenApiExample("tighten", value={"value": "1000", "reason": "thin books"}, request_only=True)
        ],
    )
    @idempotent()
    def put(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(LimitChangeSerializer, request)
        scope = parse_scope(values["scope"])
        scope_check(scope)
        loosens = limit_loosens(name, scope, values["value"])
        require_permission(request, "risk.propose" if loosens else "limits.tighten")
        outcome = limit_change(
            name=name,
            scope=scope,
            value=values["value"],
            reason=values["reason"],
            actor=person_of(request),
            expires_in_s=values.get("expires_in_s"),
        )
        if isinstance(outcome, ChangeRequest):
            return approval_response(outcome)
        return Response(limit_members(outcome, Use.read()))


class LimitEffectView(APIView):
    """What a value would have done to the orders of the last seven days. Nothing is changed."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="limits_effect",
        parameters=[OpenApiParameter("value", str, required=True), OpenApiParameter("scope", str)],
        responses=LimitEffectSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        check_parameters(request, ("value", "scope"))
        form = LimitEffectQuerySerializer(data=request.query_params.dict())
        form.is_valid(raise_exception=True)
        scope = parse_scope(form.validated_data["scope"])
        scope_check(scope)
        kind = limit_get(name, "global")
        found = limit_would_have(name, scope, form.validated_data["value"], tighter=kind.tighter)
        return Response({"name": kind.name, "scope": scope, **found})


class BreakerListView(MembersListView):
    """Circuit breakers."""

    serializer_class = BreakerSerializer
    filterset_class = BreakerFilter
    ordering_fields = ("name", "changed_at")

    def get_queryset(self) -> Any:
        return breaker_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [breaker_members(row) for row in rows]


class BreakerResetView(APIView):
    """Ask for an open breaker to be closed."""

    required = {"POST": "breakers.reset"}

    @extend_schema(
        operation_id="breakers_reset",
        request=ReasonedProposalSerializer,
        parameters=[OPTIONAL_KEY],
        responses=_PROPOSED,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(ReasonedProposalSerializer, request)
        breaker = breaker_get(pk)
        expiry = {"expires_in_s": values["expires_in_s"]} if "expires_in_s" in values else {}
        created = breaker_reset_request(
            breaker_id=breaker.pk, requester=person_of(request), reason=values["reason"], **expiry
        )
        return approval_response(created)


class BreakerOpenView(APIView):
    """Open a breaker by hand: at once, because it only stops."""

    required = {"POST": "kill.raise"}

    @extend_schema(
        operation_id="breakers_open",
        request=ReasonRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=BreakerSerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(ReasonRequestSerializer, request)
        breaker = breaker_get(pk)
        opened = breaker_force_open(breaker_id=breaker.pk, actor=person_of(request), reason=values["reason"])
        return Response(breaker_members(opened))
