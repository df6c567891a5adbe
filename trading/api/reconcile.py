"""`/reconcile`: comparing our books with the venue's, on request."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import NotFound
from trading.api.controls import validated
from trading.api.filters import ReconcileRunFilter, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.selectors.accounts import account_get, accounts_active
from trading.selectors.reconcile import reconcile_run_members, reconcile_run_queryset
from trading.serializers.controls import (
    ReconcileRequestSerializer,
    ReconcileRunSerializer,
    ReconcileStartedSerializer,
)
from trading.services.reconcile import reconcile_request


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
