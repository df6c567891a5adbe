"""`/orders`: placing, reading, canceling and explaining."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from trading.api.filters import OrderFilter, check_parameters
from trading.api.lists import MembersListView
from trading.models import Order
from trading.selectors.accounts import account_get, symbol_get
from trading.selectors.brackets import bracket_of_order
from trading.selectors.explain import order_explain
from trading.selectors.orders import order_get, order_members, order_queryset
from trading.serializers.orders import (
    CancelSummarySerializer,
    DryRunSerializer,
    OrderAmendSerializer,
    OrderExplanationSerializer,
    OrderRequestSerializer,
    OrderSerializer,
)
from trading.services.brackets import bracket_cancel
from trading.services.brackets.requests import ExitsRequest, guarded_order_request
from trading.services.orders import (
    OrderOutcome,
    order_cancel_request,
    order_change,
    order_wait,
    orders_cancel_request,
)

DEFAULT_TIMEOUT_S, MAXIMUM_TIMEOUT_S = Decimal(5), Decimal(30)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 255 visible ASCII characters. The same key and body get the same answer, once done.",
)
OPTIONAL_KEY = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, description="optional here"
)
WAIT = OpenApiParameter(
    "wait", OpenApiTypes.STR, enum=["ack", "fill"], description="answer once acknowledged, or once over"
)
TIMEOUT = OpenApiParameter(
    "timeout", OpenApiTypes.NUMBER, description="seconds to wait, 5 unless said, 30 at most"
)
ORDER_EXAMPLES = [
    OpenApiExample(
        "limit order",
        value={
            "account": "paper-spot",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.001",
            "price": "60000",
            "time_in_force": "GTC",
        },
        request_only=True,
    ),
    OpenApiExample(
        "market order for an amount of money, judged only",
        value={
            "account": "paper-spot",
            "symbol": "btc/usdt",
            "side": "BUY",
            "type": "MARKET",
            "quote_quantity": "25",
            "dry_run": True,
        },
        request_only=True,
    ),
]
DENIAL = {
    "type": "object",
    "description": "A rail said no; the order is kept with every verdict.",
    "required": ["type", "title", "status", "detail", "code", "instance", "rail", "checks"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "NOTIONAL_ABOVE_MAX, TRADING_HALTED, ..."},
        "instance": {"type": "string"},
        "rail": {"type": "string"},
        "measured": {"description": "what the rail looked at", "nullable": True},
        "limit": {"description": "what it allows", "nullable": True},
        "level": {"description": "the kill level, with TRADING_HALTED"},
        "retry_after": {"type": "number", "description": "seconds, with RATE_LIMITED"},
        "order_id": {"type": "string", "format": "uuid"},
        "checks": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
    },
}
DENIED_ANSWER = {(422, "application/problem+json"): DENIAL}


class OrderListView(MembersListView):
    """Orders, newest first; placing one; canceling many."""

    required = {"GET": "read", "POST": "orders.place", "DELETE": "orders.cancel"}
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    ordering_fields = ("created_at", "updated_at")

    def get_queryset(self) -> Any:
        return order_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [order_members(row) for row in rows]

    @extend_schema(
        operation_id="orders_place",
        description="Ask for an order. `dry_run` needs no key: nothing is stored, reserved, counted or sent.",
        request=OrderRequestSerializer,
        parameters=[IDEMPOTENCY_KEY, WAIT, TIMEOUT],
        examples=ORDER_EXAMPLES,
        responses={200: DryRunSerializer, 201: OrderSerializer, **DENIED_ANSWER},
        filters=False,
    )
    def post(self, request: Request) -> HttpResponse:
        # The parser lets only objects through.
        members: Any = request.data
        return self._judge(request) if members.get("dry_run") is True else self._place(request)

    @idempotent(required=True)
    def _place(self, request: Request) -> Response:
        until, timeout_s = wait_parameters(request)
        key = request.idempotency.unique_key  # type: ignore[attr-defined]
        outcome = _requested(request, request_key=key)
        assert outcome.order is not None
        if until is not None:
            order_wait(order_id=outcome.order.pk, until=until, timeout_s=timeout_s)
        order = order_get(outcome.order.uid)
        response = Response(order_members(order), status=201)
        response["Location"] = f"{request.path.rstrip('/')}/{order.uid}"
        return response

    def _judge(self, request: Request) -> Response:
        check_parameters(request, {"wait", "timeout"})
        outcome = _requested(request, request_key="dry-run", dry_run=True)
        return Response(
            {
                "dry_run": True,
                "accepted": outcome.denial is None,
                "denial": outcome.denial,
                "checks": outcome.checks,
                "adjustments": list(outcome.adjustments),
            }
        )

    @extend_schema(
        operation_id="orders_cancel_many",
        description="Ask for the cancel of every open order, of one symbol, or of one account.",
        parameters=[
            OpenApiParameter("symbol", OpenApiTypes.STR),
            OpenApiParameter("account", OpenApiTypes.STR),
            OPTIONAL_KEY,
        ],
        responses=CancelSummarySerializer,
        filters=False,
    )
    @idempotent()
    def delete(self, request: Request) -> Response:
        check_parameters(request, {"symbol", "account"})
        account, symbol = request.query_params.get("account"), request.query_params.get("symbol")
        asked = orders_cancel_request(
            account_name=account_get(account).name if account is not None else None,
            symbol=symbol_get(symbol) if symbol is not None else None,
            actor=person_of(request),
            reason=f"asked for by {person_of(request).username}",
        )
        return Response({"cancel_requested": asked})


class OrderDetailView(APIView):
    """One order."""

    required = {"GET": "read", "DELETE": "orders.cancel"}

    @extend_schema(operation_id="orders_retrieve", responses=OrderSerializer)
    def get(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        return Response(order_members(order_get(uid)))

    @extend_schema(
        operation_id="orders_cancel",
        description="Ask for the cancel; the venue decides what really happened. 409 once the order is over.",
        parameters=[OPTIONAL_KEY, WAIT, TIMEOUT],
        responses=OrderSerializer,
    )
    @idempotent()
    def delete(self, request: Request, uid: UUID) -> Response:
        until, timeout_s = wait_parameters(request)
        person = person_of(request)
        order = order_get(uid)
        reason = f"asked for by {person.username}"
        bracket = bracket_of_order(order) if order.origin == Order.Origin.PROTECTION else None
        if bracket is not None and bracket.ended_at is None:
            # Cancelled alone it would only be placed again: the whole set goes.
            bracket_cancel(bracket_id=bracket.pk, actor=person, reason=reason)
        else:
            order_cancel_request(order=order, actor=person, reason=reason)
        if until is not None:
            order_wait(order_id=order.pk, until="fill", timeout_s=timeout_s)
        return Response(order_members(order_get(uid)))


class OrderAmendView(APIView):
    """Another quantity or price of a working order."""

    required = {"POST": "orders.place"}

    @extend_schema(
        operation_id="orders_amend",
        description="Less is amended in place (200, the same order; spot keeps its place in the queue). Anything else "
        "is, on spot, a new order that the venue places only when the old one could be cancelled untouched (201).",
        request=OrderAmendSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: OrderSerializer, 201: OrderSerializer, **DENIED_ANSWER},
    )
    @idempotent(required=True)
    def post(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        form = OrderAmendSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values: dict[str, Any] = form.validated_data
        changed = order_change(
            order=order_get(uid),
            quantity=values["quantity"],
            price=values["price"],
            actor=person_of(request),
            reason=values["reason"] or f"asked for by {person_of(request).username}",
            key=request.idempotency.unique_key,  # type: ignore[attr-defined]
        )
        response = Response(order_members(order_get(changed.uid)), status=200 if changed.uid == uid else 201)
        if changed.uid != uid:
            response["Location"] = request.path.replace(f"{uid}/amend", str(changed.uid))
        return response


class OrderExplainView(APIView):
    """Why an order exists and what became of it."""

    required = {"GET": "read"}

    @extend_schema(operation_id="orders_explain", responses=OrderExplanationSerializer)
    def get(self, request: Request, uid: UUID) -> Response:
        check_parameters(request, ())
        return Response(order_explain(order_get(uid)))


def wait_parameters(request: Request) -> tuple[str | None, float]:
    """`?wait=ack|fill&timeout=` as (what to wait for or None, seconds).

    Raises
    ------
    ApplicationError : INVALID_WAIT, INVALID_TIMEOUT, UNKNOWN_FILTER.
    """
    check_parameters(request, {"wait", "timeout"})
    until = request.query_params.get("wait")
    if until not in (None, "ack", "fill"):
        raise ApplicationError("INVALID_WAIT", f"wait: expected ack or fill, was {until[:40]!r}")
    return until, float(timeout_parameter(request))


def timeout_parameter(request: Request) -> Decimal:
    """`?timeout=` in seconds, more than zero and at most 30."""
    text = request.query_params.get("timeout")
    if text is None:
        return DEFAULT_TIMEOUT_S
    try:
        seconds = Decimal(text if len(text) <= 10 else "NaN")
    except InvalidOperation:
        seconds = Decimal("NaN")
    if not seconds.is_finite() or not 0 < seconds <= MAXIMUM_TIMEOUT_S:
        raise ApplicationError(
            "INVALID_TIMEOUT", f"timeout: expected seconds above 0, at most {MAXIMUM_TIMEOUT_S}"
        )
    return seconds


def _requested(request: Request, *, request_key: str, dry_run: bool = False) -> OrderOutcome:
    form = OrderRequestSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    values = form.validated_data
    return guarded_order_request(
        exits=exits_of_request(values),
        account_name=values["account"],
        symbol=values["symbol"],
        side=values["side"],
        type=values["type"],
        quantity=values["quantity"],
        quote_quantity=values["quote_quantity"],
        price=values["price"],
        stop_price=values["stop_price"],
        time_in_force=values["time_in_force"],
        reduce_only=values["reduce_only"],
        position_side=values["position_side"],
        strategy_name=values["strategy"],
        user=person_of(request),
        request_key=request_key,
        dry_run=dry_run,
    )


def exits_of_request(values: dict[str, Any]) -> ExitsRequest:
    """The exits of a request; `trailing` may stand beside the stop or in it."""
    stop = values["stop_loss"] or {}
    return ExitsRequest(
        stop=stop.get("price"),
        stop_limit=stop.get("limit_price"),
        take_profits=tuple(values["take_profit"] or ()),
        trailing=stop.get("trailing") or values["trailing"],
        activation=stop.get("activation_price"),
        time_exit_s=values["time_exit_s"],
        escalate_after_s=stop.get("escalate_after_s"),
    )


def person_of(request: Request) -> User:
    """Who is asking; the permission check has made sure that somebody is."""
    assert isinstance(request.user, User)
    return request.user
