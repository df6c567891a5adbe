"""Filters of the lists: by field name, and a name nobody knows is an error, not an unfiltered answer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django_filters import rest_framework as filters
from rest_framework.request import Request

from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import written_moment
from trading.domain.orders import OrderStatus
from trading.domain.values import Market, OrderType, Side, normalise_symbol
from trading.models import (
    Balance,
    Blackout,
    CircuitBreaker,
    Decision,
    Divergence,
    Fill,
    Order,
    Position,
    ReconcileRun,
    ResearchJob,
    RiskLimit,
    Statement,
)
from trading.selectors.blackouts import in_force_or_to_come
from trading.selectors.orders import CLOSED_STATUSES, OPEN_STATUSES

PAGING = frozenset({"cursor", "limit", "ordering"})


def moment_of(request: Request, name: str) -> datetime | None:
    """The time a query parameter names, None where it is not given.

    Raises
    ------
    ApplicationError : INVALID_SINCE, INVALID_UNTIL and so on: no time, or one without its zone.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return written_moment(text)
    except ValueError:
        raise ApplicationError(
            f"INVALID_{name.upper()}",
            f"{name}: expected a time with its zone, such as 2026-01-31T00:00:00Z",
        ) from None


def check_parameters(request: Request, known: Collection[str]) -> None:
    """Refuse query parameters the route does not know.

    Raises
    ------
    ApplicationError : UNKNOWN_FILTER.
    """
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        raise ApplicationError(
            "UNKNOWN_FILTER",
            f"{unknown[0]}: no such filter; known are {', '.join(sorted(known))}",
            extra={"errors": {name: ["no such filter"] for name in unknown}},
        )


class StrictFilterSet(filters.FilterSet):  # the library has no types
    """A FilterSet that refuses unknown names."""

    def is_valid(self) -> bool:
        if self.request is not None:
            check_parameters(self.request, {*self.filters, *PAGING})
        return bool(super().is_valid())


class SymbolFilter(filters.CharFilter):  # the library has no types
    """A symbol in any spelling; what is no symbol matches nothing."""

    def filter(self, qs: Any, value: Any) -> Any:
        if not value:
            return qs
        try:
            plain = normalise_symbol(str(value))
        except ValueError as error:
            raise ApplicationError("UNKNOWN_SYMBOL", str(error), status=404) from None
        return super().filter(qs, plain)


def _words(values: Any) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in values]


class OrderFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")
    symbol = SymbolFilter(field_name="instrument__symbol")
    strategy = filters.CharFilter(field_name="strategy__name")
    market = filters.ChoiceFilter(field_name="instrument__market", choices=_words(Market))
    status = filters.MultipleChoiceFilter(choices=_words(OrderStatus))
    side = filters.ChoiceFilter(choices=_words(Side))
    type = filters.ChoiceFilter(choices=_words(OrderType))
    open = filters.BooleanFilter(method="of_life")
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    def of_life(self, queryset: Any, name: str, value: bool) -> Any:
        wanted = OPEN_STATUSES if value else CLOSED_STATUSES
        return queryset.filter(status__in=wanted)

    class Meta:
        model = Order
        fields = ("client_order_id", "venue_order_id", "origin", "code")


class FillFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")
    symbol = SymbolFilter(field_name="instrument__symbol")
    strategy = filters.CharFilter(field_name="order__strategy__name")
    order_id = filters.UUIDFilter(field_name="order__uid")
    side = filters.ChoiceFilter(choices=_words(Side))
    venue_trade_id = filters.NumberFilter(field_name="trade_id")
    at_after = filters.IsoDateTimeFilter(field_name="traded_at", lookup_expr="gte")
    at_before = filters.IsoDateTimeFilter(field_name="traded_at", lookup_expr="lt")

    class Meta:
        model = Fill
        fields = ("maker",)


class PositionFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")
    symbol = SymbolFilter(field_name="instrument__symbol")

    class Meta:
        model = Position
        fields = ()


class BalanceFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")

    class Meta:
        model = Balance
        fields = ("asset",)


class DecisionFilter(StrictFilterSet):
    strategy = filters.CharFilter(field_name="instance__strategy__name")
    account = filters.CharFilter(field_name="instance__account__name")
    symbol = SymbolFilter(field_name="instance__instrument__symbol")
    bar_open_after = filters.IsoDateTimeFilter(field_name="bar_open_at", lookup_expr="gte")
    bar_open_before = filters.IsoDateTimeFilter(field_name="bar_open_at", lookup_expr="lt")

    class Meta:
        model = Decision
        fields = ("reason",)


class LimitFilter(StrictFilterSet):
    class Meta:
        model = RiskLimit
        fields = ("name", "scope", "unit")


class BreakerFilter(StrictFilterSet):
    class Meta:
        model = CircuitBreaker
        fields = ("name", "scope", "state")


class BlackoutFilter(StrictFilterSet):
    over = filters.BooleanFilter(method="of_time")

    def of_time(self, queryset: Any, name: str, value: bool) -> Any:
        return queryset.exclude(in_force_or_to_come()) if value else queryset.filter(in_force_or_to_come())

    class Meta:
        model = Blackout
        fields = ("scope",)


class ReconcileRunFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")

    class Meta:
        model = ReconcileRun
        fields = ("sweep", "trigger", "outcome")


class DivergenceFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")
    open = filters.BooleanFilter(field_name="resolved_at", lookup_expr="isnull")

    class Meta:
        model = Divergence
        fields = ("kind", "subject")


class StatementFilter(StrictFilterSet):
    account = filters.CharFilter(field_name="account__name")

    class Meta:
        model = Statement
        fields = ("day", "agrees")


class ResearchJobFilter(StrictFilterSet):
    strategy = filters.CharFilter(field_name="request__strategy")
    symbol = filters.CharFilter(field_name="request__symbol")
    requested_by = filters.CharFilter(field_name="requested_by__username")

    class Meta:
        model = ResearchJob
        fields = ("kind", "state")
