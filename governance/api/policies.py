"""`/policies`: the versions of every governed document, and changing one under the two-person rule."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.adapters.documents import read_document
from governance.domain.policies.located import DocumentError, Node, node_of
from governance.models import PolicyVersion, RuleFiring
from governance.selectors.policies import (
    firing_members,
    firing_queryset,
    version_get,
    version_in_force,
    version_members,
    version_queryset,
)
from governance.serializers.policies import (
    PolicyChangeSerializer,
    PolicyCheckSerializer,
    PolicyRevertSerializer,
    PolicyVerdictSerializer,
    PolicyVersionSerializer,
    RuleFiringSerializer,
)
from governance.services.policies import (
    invalid,
    policy_change,
    policy_loosened,
    policy_read,
    policy_verdict,
    problem_members,
)
from governance.services.policy_kinds import policy_kind
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import require_permission
from nautilus_site.common.errors import NotFound
from nautilus_site.common.models import ChangeRequest
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of

_TAKES = ("limits.tighten", "risk.propose")


class PolicyFilter(StrictFilterSet):
    class Meta:
        model = PolicyVersion
        fields = ("policy", "number")


class PolicyListView(MembersListView):
    """Every version of every policy, newest first."""

    serializer_class = PolicyVersionSerializer
    filterset_class = PolicyFilter
    ordering_fields = ("id",)

    def get_queryset(self) -> Any:
        return version_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [version_members(row) for row in rows]


class PolicyDetailView(APIView):
    """The version in force; replacing it: 200 where nothing allows more than before, else 202 with a request."""

    required = {"GET": "read", "PUT": "read"}
    any_of = {"PUT": _TAKES}

    @extend_schema(operation_id="policy_retrieve", responses=PolicyVersionSerializer)
    def get(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        version = version_in_force(policy_kind(name).name)
        if version is None:
            raise NotFound("NO_VERSION", f"no version of {name} is in force")
        return Response(version_members(version))

    @extend_schema(
        operation_id="policy_change",
        description="`INVALID_POLICY` lists every problem under `problems`, each with its `path`.",
        request=PolicyChangeSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: PolicyVersionSerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def put(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(PolicyChangeSerializer, request)
        try:
            node = node_of(values["document"])
        except DocumentError as error:
            raise invalid(error) from None
        return _changed(request, name, node, values)


class PolicyCheckView(APIView):
    """What a file would be, to the line and column of every mistake. It changes nothing."""

    required = {"POST": "read"}

    @extend_schema(
        operation_id="policy_check", request=PolicyCheckSerializer, responses=PolicyVerdictSerializer
    )
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(PolicyCheckSerializer, request)
        kind = policy_kind(name)
        try:
            node = read_document(values["text"], suffix=f".{values['format']}")
        except DocumentError as error:
            nothing: dict[str, Any] = {"document": None, "changed": {}, "allows_more": [], "effect": {}}
            return Response({"problems": problem_members(error), **nothing})
        return Response(policy_verdict(kind.name, node))


class FiringFilter(StrictFilterSet):
    class Meta:
        model = RuleFiring
        fields = ("rule", "trigger", "outcome", "action")


class FiringListView(MembersListView):
    """What rules saw and did, newest first."""

    serializer_class = RuleFiringSerializer
    filterset_class = FiringFilter
    ordering_fields = ("id",)

    def get_queryset(self) -> Any:
        return firing_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [firing_members(row) for row in rows]


class PolicyRevertView(APIView):
    """One click back to an older version: by the same rule as any other change."""

    required = {"POST": "read"}
    any_of = {"POST": _TAKES}

    @extend_schema(
        operation_id="policy_revert",
        request=PolicyRevertSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: PolicyVersionSerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(PolicyRevertSerializer, request)
        document = version_get(policy_kind(name).name, values["version"]).document
        return _changed(request, name, node_of(document), values)


def _changed(request: Request, name: str, node: Node, values: dict[str, Any]) -> Response:
    current = version_in_force(policy_kind(name).name)
    loosens = current is None or bool(policy_loosened(current, policy_read(name, node)))
    require_permission(request, "risk.propose" if loosens else "limits.tighten")
    outcome = policy_change(
        name=name,
        node=node,
        actor=person_of(request),
        reason=values["reason"],
        expires_in_s=values.get("expires_in_s"),
    )
    if isinstance(outcome, ChangeRequest):
        return approval_response(outcome)
    return Response(version_members(outcome))
