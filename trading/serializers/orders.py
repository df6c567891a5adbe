"""Orders and fills on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField, SymbolField
from trading.domain.conditional import AT_MARKET, LIMITED
from trading.domain.orders import OrderStatus
from trading.domain.values import OrderType, PositionSide, Side, TimeInForce
from trading.serializers.exits import StopLossField, TakeProfitField
from trading.serializers.strict import CountField, FlagField, RequestSerializer, TextField, WordField

# Beyond any real market, and well inside the columns (28 digits, 10 of them decimals).
LARGEST = Decimal(10) ** 17


def _amount(help_text: str) -> DecimalTextField:
    return DecimalTextField(
        positive=True, maximum=LARGEST, required=False, allow_null=True, default=None, help_text=help_text
    )


class AccountSymbolField(TextField):
    """A symbol in any spelling. What is no symbol is an unknown one: the order service says so."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)


class OrderRequestSerializer(RequestSerializer):
    """What a person or a script asks for. Exactly one of `quantity` and `quote_quantity`."""

    account = TextField(max_length=40)
    symbol = AccountSymbolField(help_text="any spelling: BTCUSDT, btc/usdt, BTC-USDT")
    side = WordField(choices=[side.value for side in Side])
    type = WordField(choices=[kind.value for kind in OrderType])
    quantity = _amount("base units")
    quote_quantity = _amount("quote units; turned into a quantity at the limit or the protective price")
    price = _amount(
        "limit price; required for types that have one, refused for those that trade at the market"
    )
    time_in_force = WordField(
        choices=[word.value for word in TimeInForce], required=False, allow_null=True, default=None
    )
    reduce_only = FlagField(required=False, default=False)
    position_side = WordField(
        choices=[side.value for side in PositionSide],
        required=False,
        allow_null=True,
        default=None,
        help_text="LONG or SHORT on a hedge-mode account, where it must be named; BOTH or nothing elsewhere",
    )
    stop_price = _amount("the trigger of a conditional type; of a trailing stop the price that activates it")
    stop_loss = StopLossField(required=False, allow_null=True, default=None)
    take_profit = TakeProfitField(required=False, allow_null=True, default=None)
    trailing = _amount("distance of a trailing stop as a fraction of the price: 0.01 is one percent")
    time_exit_s = CountField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=31_536_000,
        help_text="seconds after which the position is closed at the market",
    )
    strategy = TextField(max_length=40, required=False, allow_null=True, default=None)
    dry_run = FlagField(required=False, default=False, help_text="judge only; nothing is stored or sent")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["quantity"] is None) == (attrs["quote_quantity"] is None):
            raise serializers.ValidationError(
                {"quantity": ["give exactly one of quantity and quote_quantity"]}
            )
        at_market = attrs["type"] == OrderType.MARKET or attrs["type"] in AT_MARKET
        if at_market and attrs["price"] is not None:
            raise serializers.ValidationError({"price": [f"a {attrs['type']} order takes no price"]})
        if not at_market and attrs["price"] is None:
            raise serializers.ValidationError({"price": [f"a {attrs['type']} order needs a price"]})
        rests = attrs["type"] == OrderType.LIMIT or attrs["type"] in LIMITED
        if attrs["time_in_force"] is not None and not rests:
            raise serializers.ValidationError(
                {"time_in_force": [f"a {attrs['type']} order takes no time_in_force"]}
            )
        return attrs


class OrderAmendSerializer(RequestSerializer):
    """What of a working order is to change; at least one of `quantity` and `price`."""

    quantity = _amount("base units in all, what has traded included")
    price = _amount("limit price")
    reason = TextField(max_length=200, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["quantity"] is None and attrs["price"] is None:
            raise serializers.ValidationError({"quantity": ["give a quantity, a price, or both"]})
        return attrs


class OrderEventSerializer(serializers.Serializer[Any]):
    """One step of an order's life."""

    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    source = serializers.CharField()  # type: ignore[assignment]  # DRF's own attribute of this name
    at = serializers.DateTimeField()
    detail = serializers.DictField()


class OrderSerializer(serializers.Serializer[Any]):
    """An order as it stands; `code` only where something was denied, refused or given up."""

    id = serializers.UUIDField()
    account = serializers.CharField()
    symbol = SymbolField()
    market = serializers.ChoiceField(choices=["spot", "usdm"])
    side = serializers.ChoiceField(choices=[side.value for side in Side])
    type = serializers.ChoiceField(choices=[kind.value for kind in OrderType])
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    quantity = DecimalTextField()
    price = DecimalTextField(allow_null=True)
    executed_quantity = DecimalTextField()
    average_price = DecimalTextField(allow_null=True)
    client_order_id = serializers.CharField()
    venue_order_id = serializers.IntegerField(allow_null=True)
    strategy = serializers.CharField(allow_null=True)
    model_version = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    code = serializers.CharField(required=False)
    events = OrderEventSerializer(many=True)


class RailVerdictSerializer(serializers.Serializer[Any]):
    """One rail's verdict: what it measured and what it allows, in `unit`."""

    rail = serializers.CharField()
    passed = serializers.BooleanField()
    code = serializers.CharField(allow_null=True)
    measured = serializers.JSONField(allow_null=True)
    limit = serializers.JSONField(allow_null=True)
    unit = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)
    retry_after = serializers.FloatField(required=False)


class DryRunSerializer(serializers.Serializer[Any]):
    """What would have happened to the order."""

    dry_run = serializers.BooleanField()
    accepted = serializers.BooleanField()
    denial = RailVerdictSerializer(allow_null=True)
    checks = RailVerdictSerializer(many=True)
    adjustments = serializers.ListField(child=serializers.CharField())


class CancelSummarySerializer(serializers.Serializer[Any]):
    """How many open orders were asked to be canceled."""

    cancel_requested = serializers.IntegerField()


class FillSerializer(serializers.Serializer[Any]):
    """One execution. `at` is the venue's market time, `recorded_at` when we learned of it."""

    id = serializers.IntegerField()
    order_id = serializers.UUIDField()
    account = serializers.CharField()
    symbol = SymbolField()
    side = serializers.ChoiceField(choices=[side.value for side in Side])
    quantity = DecimalTextField()
    price = DecimalTextField()
    fee = DecimalTextField()
    fee_asset = serializers.CharField()
    maker = serializers.BooleanField()
    venue_trade_id = serializers.IntegerField()
    at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    strategy = serializers.CharField(allow_null=True)
    realized_pnl = DecimalTextField()
    slippage_bps = serializers.FloatField(allow_null=True)


class LatencyStepSerializer(serializers.Serializer[Any]):
    """One step of the waterfall, in milliseconds of wall time."""

    step = serializers.ChoiceField(choices=["decided", "created", "sent", "acknowledged", "first_fill"])
    at = serializers.DateTimeField()
    since_start_ms = serializers.FloatField()
    since_previous_ms = serializers.FloatField()


class OrderExplanationSerializer(serializers.Serializer[Any]):
    """The whole chain: decision, plan, rails, adjustments, venue messages, events, fills, latency."""

    order = OrderSerializer()
    request = serializers.DictField()
    decision = serializers.DictField(allow_null=True)
    plan = serializers.DictField(allow_null=True)
    bracket = serializers.DictField(allow_null=True)
    rails = RailVerdictSerializer(many=True)
    denial = serializers.DictField(allow_null=True)
    approvals = serializers.ListField(child=serializers.DictField())
    adjustments = serializers.ListField(child=serializers.CharField())
    venue_messages = serializers.ListField(child=serializers.DictField())
    events = OrderEventSerializer(many=True)
    fills = FillSerializer(many=True)
    latency = LatencyStepSerializer(many=True)
