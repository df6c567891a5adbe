"""`/strategy/` and `/decisions`: what runs, what it decided, defining it, switching it on and off."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import require_permission
from nautilus_site.common.models import ChangeRequest
from trading.api.controls import validated
from trading.api.filters import DecisionFilter, StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.models import Strategy
from trading.selectors.accounts import account_get
from trading.selectors.decisions import decision_members, decision_queryset
from trading.selectors.strategies import strategies_members, strategy_get, strategy_queryset
from trading.serializers.definitions import (
    GrantRequestSerializer,
    InstanceAddSerializer,
    ListingGrantSerializer,
    StrategyChangeSerializer,
    StrategyCreateSerializer,
    SwitchProposalSerializer,
    SwitchSerializer,
)
from trading.serializers.strategies import StrategyDecisionSerializer, StrategySerializer
from trading.services.strategies import (
    Definition,
    ListingTerms,
    Place,
    grant_change,
    grant_raises,
    instance_add,
    instance_disable,
    instance_enable_request,
    instance_of,
    listing_grant_change,
    listing_grant_raises,
    strategy_define,
    strategy_disable,
    strategy_enable_request,
    strategy_redefine,
)


class StrategyFilter(StrictFilterSet):
    class Meta:
        model = Strategy
        fields = ("name", "kind", "interval", "is_enabled")


class StrategyListView(MembersListView):
    """Strategies with their instances; defining one."""

    required = {"GET": "read", "POST": "strategies.define"}
    serializer_class = StrategySerializer
    filterset_class = StrategyFilter
    ordering_fields = ("name", "updated_at")

    def get_queryset(self) -> Any:
        return strategy_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return strategies_members(rows)

    @extend_schema(
        operation_id="strategy_create",
        description=(
            "It is switched off and its instances have no capital: both take a second person. Parameters are "
            "checked against the schema of `/strategy-kinds`."
        ),
        request=StrategyCreateSerializer,
        parameters=[OPTIONAL_KEY],
        responses={201: StrategySerializer},
        examples=[
            OpenApiExample(
                "a crossing on one symbol",
                value={
                    "name": "crossing",
                    "kind": "moving_average",
                    "interval": "1h",
                    "parameters": {"fast": 20, "slow": 50},
                    "instances": [{"account": "paper-spot", "symbol": "BTCUSDT"}],
                    "reason": "hourly crossing on the demo account",
                },
                request_only=True,
            )
        ],
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(StrategyCreateSerializer, request)
        created = strategy_define(
            name=values["name"],
            definition=Definition(
                values["kind"], values["interval"], values["parameters"], values["model_family"]
            ),
            description=values["description"],
            places=[Place(**place) for place in values["instances"]],
            actor=person_of(request),
            reason=values["reason"],
        )
        headers = {"Location": f"/api/v1/strategy/{created.name}"}
        return Response(strategies_members([created])[0], status=201, headers=headers)


class StrategyDetailView(APIView):
    """One strategy; changing what it decides by."""

    required = {"GET": "read", "PATCH": "strategies.define"}

    @extend_schema(operation_id="strategy_retrieve", responses=StrategySerializer)
    def get(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        return Response(strategies_members([strategy_get(name)])[0])

    @extend_schema(
        operation_id="strategy_change",
        description="At once while the strategy is switched off; while it trades a second person decides.",
        request=StrategyChangeSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: StrategySerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def patch(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(StrategyChangeSerializer, request)
        outcome = strategy_redefine(
            name=strategy_get(name).name,
            changes={key: values[key] for key in ("interval", "parameters", "model_family") if key in values},
            description=values.get("description"),
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return _answer(outcome)


class StrategyInstancesView(APIView):
    """One more symbol for a strategy, without capital."""

    required = {"POST": "strategies.define"}

    @extend_schema(
        operation_id="strategy_instances_create",
        request=InstanceAddSerializer,
        parameters=[OPTIONAL_KEY],
        responses={201: StrategySerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(InstanceAddSerializer, request)
        changed = instance_add(
            name=strategy_get(name).name,
            place=Place(values["account"], values["symbol"]),
            actor=person_of(request),
            reason=values["reason"],
        )
        return Response(strategies_members([changed])[0], status=201)


class StrategyGrantView(APIView):
    """Weight and capital of one instance: 200 where neither grows, 202 with a request where one does."""

    required = {"POST": "read"}
    any_of = {"POST": ("strategies.disable", "capital.propose")}

    @extend_schema(
        operation_id="strategy_grant",
        request=GrantRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: StrategySerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(GrantRequestSerializer, request)
        strategy = strategy_get(name)
        instance = instance_of(strategy=strategy.name, account=values["account"], symbol=values["symbol"])
        weight = values.get("weight", instance.weight)
        allocation = values.get("allocation", instance.allocation)
        raises = grant_raises(instance, weight=weight, allocation=allocation)
        require_permission(request, "capital.propose" if raises else "strategies.disable")
        outcome = grant_change(
            instance=instance,
            weight=weight,
            allocation=allocation,
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return _answer(outcome if isinstance(outcome, ChangeRequest) else strategy)


class StrategyListingsView(APIView):
    """What it may put into new listings: 200 where neither number grows, 202 with a request where one does."""

    required = {"POST": "read"}
    any_of = {"POST": ("strategies.disable", "capital.propose")}

    @extend_schema(
        operation_id="strategy_listings",
        description=(
            "A standing grant for symbols that are not listed yet. When one opens on the account's venue, the "
            "strategy gets it with this capital for a day and the symbol is allowed on the account."
        ),
        request=ListingGrantSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: StrategySerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(ListingGrantSerializer, request)
        strategy, account = strategy_get(name), account_get(values["account"])
        terms = ListingTerms(values["allocation"], values["per_day"])
        raises = listing_grant_raises(strategy, account, terms)
        require_permission(request, "capital.propose" if raises else "strategies.disable")
        outcome = listing_grant_change(
            strategy=strategy,
            account=account,
            terms=terms,
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return _answer(outcome if isinstance(outcome, ChangeRequest) else strategy)


class StrategyEnableView(APIView):
    """Ask for a strategy, or one symbol of it, to be switched on: it raises risk, so somebody else decides."""

    required = {"POST": "risk.propose"}

    @extend_schema(
        operation_id="strategy_enable",
        request=SwitchProposalSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(SwitchProposalSerializer, request)
        asked = {
            "requester": person_of(request),
            "reason": values["reason"],
            "expires_in_s": values.get("expires_in_s"),
        }
        strategy = strategy_get(name)
        if "symbol" not in values:
            return approval_response(strategy_enable_request(name=strategy.name, **asked))
        instance = instance_of(strategy=strategy.name, account=values["account"], symbol=values["symbol"])
        return approval_response(instance_enable_request(instance=instance, **asked))


class StrategyDisableView(APIView):
    """Switch a strategy, or one symbol of it, off at once."""

    required = {"POST": "strategies.disable"}

    @extend_schema(
        operation_id="strategy_disable",
        request=SwitchSerializer,
        parameters=[OPTIONAL_KEY],
        responses=StrategySerializer,
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(SwitchSerializer, request)
        strategy, actor = strategy_get(name), person_of(request)
        if "symbol" in values:
            instance = instance_of(strategy=strategy.name, account=values["account"], symbol=values["symbol"])
            instance_disable(instance=instance, actor=actor, reason=values["reason"])
        else:
            strategy = strategy_disable(name=strategy.name, actor=actor, reason=values["reason"])
        return _answer(strategy)


def _answer(outcome: Strategy | ChangeRequest) -> Response:
    if isinstance(outcome, ChangeRequest):
        return approval_response(outcome)
    return Response(strategies_members([outcome])[0])


class DecisionListView(MembersListView):
    """Decisions, newest first."""

    serializer_class = StrategyDecisionSerializer
    filterset_class = DecisionFilter
    ordering_fields = ("bar_open_at", "decided_at")

    def get_queryset(self) -> Any:
        return decision_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [decision_members(row) for row in rows]
