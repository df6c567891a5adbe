"""`/strategy/weights`, `/strategy/routing`, `/strategy/promote`: who trades a symbol by how much, by which model."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.domain.policies.located import node_of
from governance.models import RoutingDecision
from governance.selectors.policies import version_in_force
from governance.selectors.routing import routing_members, routing_queryset, weights_members
from governance.serializers.weights import (
    PromoteByTagSerializer,
    RoutingDecisionSerializer,
    WeightsChangeSerializer,
    WeightsSerializer,
)
from governance.services.policies import policy_loosened, policy_read
from governance.services.policy_kinds import WEIGHTS
from governance.services.routing import weights_change, weights_merged
from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion
from mlregistry.services.stages import promotion_request
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import require_permission
from nautilus_site.common.errors import Conflict, NotFound
from nautilus_site.common.models import ChangeRequest
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.domain.errors import IllegalTransition


class WeightsView(APIView):
    """The weights; lowering some at once, raising any by request."""

    required = {"GET": "read", "POST": "read"}
    any_of = {"POST": ("strategies.disable", "risk.propose")}

    @extend_schema(operation_id="strategy_weights", responses=WeightsSerializer)
    def get(self, request: Request) -> Response:
        check_parameters(request, ())
        return Response(weights_members())

    @extend_schema(
        operation_id="strategy_weights_change",
        description=(
            "200 where no weight grows, 202 with a request where one does. 0 is an orderly exit. The strategies of "
            "a symbol share it: together at most 1 (`WEIGHTS_ABOVE_ONE`)."
        ),
        request=WeightsChangeSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: WeightsSerializer, 202: ApprovalSerializer},
        examples=[
            OpenApiExample(
                "less of one",
                value={"weights": {"moving_average": "0.3"}, "reason": "on trial"},
                request_only=True,
            )
        ],
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(WeightsChangeSerializer, request)
        current = version_in_force(WEIGHTS)
        wanted = policy_read(WEIGHTS, node_of(weights_merged(values["weights"])))
        loosens = current is None or bool(policy_loosened(current, wanted))
        require_permission(request, "risk.propose" if loosens else "strategies.disable")
        outcome = weights_change(
            weights=values["weights"],
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        if isinstance(outcome, ChangeRequest):
            return approval_response(outcome)
        return Response(weights_members())


class RoutingFilter(StrictFilterSet):
    class Meta:
        model = RoutingDecision
        fields = ("strategy", "account", "symbol", "rule")


class RoutingListView(MembersListView):
    """Every decision of the router, newest first."""

    serializer_class = RoutingDecisionSerializer
    filterset_class = RoutingFilter
    ordering_fields = ("id",)

    def get_queryset(self) -> Any:
        return routing_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [routing_members(row) for row in rows]


class PromoteByTagView(APIView):
    """Ask for a model to trade, by its tag; `/models/{id}/promote` by its id."""

    required = {"POST": "models.propose"}

    @extend_schema(
        operation_id="strategy_promote",
        request=PromoteByTagSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(PromoteByTagSerializer, request)
        family, _, number = values["model_tag"].rpartition("@")
        version = (
            ModelVersion.objects.select_related("family", "artefact")
            .filter(family__name=family, number=int(number))
            .first()
            if number.isascii() and number.isdigit() and len(number) < 10
            else None
        )
        if version is None:
            raise NotFound("UNKNOWN_MODEL", f"no model is called {values['model_tag']!r}")
        try:
            created = promotion_request(
                version=version,
                stage=Stage(values["stage"]),
                reason=values["reason"],
                requester=person_of(request),
                expires_in_s=values.get("expires_in_s"),
            )
        except IllegalTransition as error:
            raise Conflict("WRONG_STAGE", str(error)) from None
        return approval_response(created)
