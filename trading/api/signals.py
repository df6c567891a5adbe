"""`/strategy/signal`: the signals of somebody else's model, judged by the same rails as any other order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.api.filters import check_parameters
from trading.api.orders import DENIED_ANSWER, OPTIONAL_KEY, person_of
from trading.domain.signals import SignalRefused, check_age, parse_signal
from trading.selectors.orders import order_get, order_members
from trading.serializers.orders import OrderSerializer
from trading.services.orders import order_request
from trading.services.orders.capital import order_submit_within_capital

MAX_AGE = timedelta(seconds=10)
AHEAD = timedelta(seconds=2)


class SignalView(APIView):
    """Take one signal in: checked, young, once."""

    required = {"POST": "signals.write"}

    @extend_schema(
        operation_id="strategy_signal",
        description=(
            "A signal is taken once per person and `id`: 201 with its order, 200 with the same order when it is "
            "told again. One older than 10 s is 422 `DECISION_EXPIRED`; what a rail denies is 422 with its code. One "
            "that names a strategy with capital on the symbol may not bring it above that: `EXPOSURE_STRATEGY`."
        ),
        request=OpenApiTypes.OBJECT,
        parameters=[OPTIONAL_KEY],
        responses={200: OrderSerializer, 201: OrderSerializer, **DENIED_ANSWER},
        examples=[
            OpenApiExample(
                "buy for 250 USDT",
                value={
                    "id": "m7-000123",
                    "at": "2026-11-29T12:00:00Z",
                    "account": "paper-spot",
                    "symbol": "BTCUSDT",
                    "side": "BUY",
                    "quote_quantity": "250",
                },
                request_only=True,
            )
        ],
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        moment = now()
        try:
            signal = parse_signal(request.data)
            if signal.account is None:
                raise SignalRefused("SCHEMA", "account is missing")
            check_age(signal, moment, max_age_s=MAX_AGE.total_seconds(), ahead_s=AHEAD.total_seconds())
        except SignalRefused as refusal:
            if refusal.code == "SCHEMA":
                raise ApplicationError("INVALID_SIGNAL", refusal.message) from None
            raise ApplicationError("DECISION_EXPIRED", refusal.message, status=422) from None
        outcome = order_request(
            account_name=signal.account,
            symbol=signal.symbol,
            side=str(signal.side),
            type=signal.type,
            quantity=signal.quantity,
            quote_quantity=signal.quote_quantity,
            price=signal.price,
            time_in_force=signal.time_in_force,
            reduce_only=signal.reduce_only,
            strategy_name=signal.strategy,
            user=person_of(request),
            request_key=f"signal:{signal.id}",
            submit=order_submit_within_capital,
        )
        assert outcome.order is not None
        order: Any = order_get(outcome.order.uid)
        known = order.created_at < moment
        return Response(order_members(order), status=200 if known else 201)
