"""`/reconcile`: comparing our books with the venue's, on request."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import NotFound
from trading.api.controls import validated
from trading.api.filters import DivergenceFilter, ReconcileRunFilter, StatementFilter, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.selectors.accounts import account_get, accounts_active
from trading.selectors.reconcile import (
    divergence_members,
    divergence_queryset,
    reconcile_run_members,
    reconcile_run_queryset,
    statement_members,
    statement_queryset,
)
from trading.serializers.controls import (
    DivergenceSerializer,
    ReasonedProposalSerializer,
    ReconcileRequestSerializer,
    ReconcileRunSerializer,
    ReconcileStartedSerializer,
    StatementSerializer,
)
from trading.services.reconcile import adopt_request, reconcile_request


class ReconcileView(APIView):
    """Start a reconciliation; a worker does it."""

    required = {"POST": "reconcile.run"}

    @extend_schema(
        operation_id="reconcile_start",
        description="Progress and report: `GET /reconcile/runs/{id}`, `outcome` is null until it is over.",
        request=ReconcileRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ReconcileStartedSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(ReconcileRequestSerializer, request)
        accounts = accounts_active() if values["account"] is None else [account_get(values["account"])]
        runs = [reconcile_request(account=account, actor=person_of(request)) for account in accounts]
        return Response({"runs": [reconcile_run_members(run) for run in runs]}, status=202)


class ReconcileRunListView(MembersListView):
    """Runs, newest first."""

    serializer_class = ReconcileRunSerializer
    filterset_class = ReconcileRunFilter
    ordering_fields = ("started_at",)

    def get_queryset(self) -> Any:
        return reconcile_run_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [reconcile_run_members(row) for row in rows]


class DivergenceListView(MembersListView):
    """Differences, newest first; `open=true` for those nothing has explained yet."""

    serializer_class = DivergenceSerializer
    filterset_class = DivergenceFilter
    ordering_fields = ("first_seen_at",)

    def get_queryset(self) -> Any:
        return divergence_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [divergence_members(row) for row in rows]


class DivergenceAdoptView(APIView):
    """Ask to take the venue's figure over: always a request that somebody else decides."""

    required = {"POST": "risk.propose"}

    @extend_schema(
        operation_id="reconcile_divergence_adopt",
        description=(
            "Only a confirmed difference in a balance or a position can be adopted: the exact difference is booked "
            "as an adjustment when a risk officer approves, if both sides are what they were and the venue said so "
            "within two minutes. It lowers no level."
        ),
        request=ReasonedProposalSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(ReasonedProposalSerializer, request)
        created = adopt_request(
            divergence_id=pk,
            requester=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)


class StatementListView(MembersListView):
    """Signed statements of days, newest first."""

    serializer_class = StatementSerializer
    filterset_class = StatementFilter
    ordering_fields = ("day",)

    def get_queryset(self) -> Any:
        return statement_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [statement_members(row) for row in rows]


class ReconcileRunDetailView(APIView):
    """One run."""

    required = {"GET": "read"}

    @extend_schema(operation_id="reconcile_runs_retrieve", responses=ReconcileRunSerializer)
    def get(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        run = reconcile_run_queryset().filter(pk=pk).first()
        if run is None:
            raise NotFound("UNKNOWN_RUN", f"no reconciliation has the id {pk}")
        return Response(reconcile_run_members(run))
