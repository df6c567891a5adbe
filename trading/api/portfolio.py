"""`/fills`, `/positions`, `/balances`, `/accounts`, `/portfolio`, `/equity`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.api.filters import (
    BalanceFilter,
    FillFilter,
    PositionFilter,
    StrictFilterSet,
    check_parameters,
    moment_of,
)
from trading.api.lists import MembersListView
from trading.models import Account
from trading.selectors.accounts import (
    account_get,
    account_members,
    account_queryset,
    balance_members,
    balance_queryset,
)
from trading.selectors.equity import MAXIMUM_POINTS, equity_series
from trading.selectors.fills import fill_members, fill_queryset
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import portfolio_get
from trading.selectors.positions import position_members, position_queryset
from trading.serializers.orders import FillSerializer
from trading.serializers.portfolio import (
    AccountSerializer,
    BalanceSerializer,
    EquitySeriesSerializer,
    PortfolioSerializer,
    PositionSerializer,
)

ACCOUNT = OpenApiParameter("account", OpenApiTypes.STR, description="only this account")


class FillListView(MembersListView):
    """Fills, newest first."""

    serializer_class = FillSerializer
    filterset_class = FillFilter
    ordering_fields = ("traded_at", "recorded_at")

    def get_queryset(self) -> Any:
        return fill_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [fill_members(row) for row in rows]


class PositionListView(MembersListView):
    """Positions valued at the middle of bid and ask."""

    serializer_class = PositionSerializer
    filterset_class = PositionFilter

    def get_queryset(self) -> Any:
        return position_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        marks = marks_read(row.instrument_id for row in rows)
        return [position_members(row, marks) for row in rows]


class BalanceListView(MembersListView):
    """Balances by our own ledger, with what the venue last said."""

    serializer_class = BalanceSerializer
    filterset_class = BalanceFilter

    def get_queryset(self) -> Any:
        return balance_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [balance_members(row) for row in rows]


class AccountFilter(StrictFilterSet):
    class Meta:
        model = Account
        fields = ("name", "is_active")


class AccountListView(MembersListView):
    """Accounts."""

    serializer_class = AccountSerializer
    filterset_class = AccountFilter

    def get_queryset(self) -> Any:
        return account_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [account_members(row) for row in rows]


class PortfolioView(APIView):
    """Everything, or one account, with its parts by account and by strategy."""

    required = {"GET": "read"}

    @extend_schema(operation_id="portfolio_retrieve", parameters=[ACCOUNT], responses=PortfolioSerializer)
    def get(self, request: Request) -> Response:
        check_parameters(request, {"account"})
        return Response(portfolio_get(_account_name(request)))


class EquityView(APIView):
    """Equity over time: the last 24 hours in 500 points unless said otherwise."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="equity_retrieve",
        parameters=[
            ACCOUNT,
            OpenApiParameter("since", OpenApiTypes.DATETIME),
            OpenApiParameter("points", OpenApiTypes.INT, description=f"at most {MAXIMUM_POINTS}"),
        ],
        responses=EquitySeriesSerializer,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request, {"account", "since", "points"})
        until = now()
        series = equity_series(
            account=_account_name(request),
            since=moment_of(request, "since") or until - timedelta(hours=24),
            until=until,
            points=_points(request),
        )
        return Response({"results": series[::-1], "next": None, "previous": None})


def _account_name(request: Request) -> str | None:
    name = request.query_params.get("account")
    return None if name is None else account_get(name).name


def _points(request: Request) -> int:
    text = request.query_params.get("points", "500")
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 2 <= int(text) <= MAXIMUM_POINTS):
        raise ApplicationError("INVALID_POINTS", f"points: expected a number from 2 to {MAXIMUM_POINTS}")
    return int(text)
