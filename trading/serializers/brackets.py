"""Brackets on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField, SymbolField
from trading.domain.brackets import BracketState, Role
from trading.domain.values import OrderType
from trading.serializers.exits import StopLossField, TakeProfitField
from trading.serializers.orders import LARGEST
from trading.serializers.strict import CountField, ReasonField, RequestSerializer


class BracketMoveSerializer(RequestSerializer):
    """Exits to change; what is left out stays as it is."""

    stop_loss = StopLossField(required=False, allow_null=True, default=None)
    take_profit = TakeProfitField(required=False, allow_null=True, default=None)
    trailing = DecimalTextField(
        positive=True,
        maximum=LARGEST,
        required=False,
        allow_null=True,
        default=None,
        help_text="distance of a trailing stop as a fraction of the price",
    )
    time_exit_s = CountField(required=False, allow_null=True, default=None, min_value=1, max_value=31_536_000)
    reason = ReasonField()


class TargetSerializer(serializers.Serializer[Any]):
    """One take-profit and the fraction it closes."""

    price = DecimalTextField()
    share = DecimalTextField()


class BracketOrderSerializer(serializers.Serializer[Any]):
    """One order of a bracket."""

    id = serializers.UUIDField()
    role = serializers.ChoiceField(choices=[role.value for role in Role])
    type = serializers.CharField(help_text=" ".join(kind.value for kind in OrderType))
    status = serializers.CharField()
    quantity = DecimalTextField()
    executed_quantity = DecimalTextField()
    price = DecimalTextField(allow_null=True)
    stop_price = DecimalTextField(allow_null=True)


class BracketEventSerializer(serializers.Serializer[Any]):
    """One step of a bracket's life."""

    at = serializers.DateTimeField()
    state = serializers.CharField()
    what = serializers.CharField()
    detail = serializers.DictField()


class BracketSerializer(serializers.Serializer[Any]):
    """The protective set of one position: what is wanted, where it stands, and its orders."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    symbol = SymbolField()
    position_side = serializers.CharField()
    exit_side = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in BracketState])
    source = serializers.CharField()  # type: ignore[assignment]  # DRF's own attribute of this name
    strategy = serializers.CharField(allow_null=True)
    covers_all = serializers.BooleanField()
    stop_loss = DecimalTextField(allow_null=True)
    stop_limit = DecimalTextField(allow_null=True)
    stop_in_force = DecimalTextField(allow_null=True)
    take_profit = TargetSerializer(many=True)
    trailing = DecimalTextField(allow_null=True)
    time_exit_at = serializers.DateTimeField(allow_null=True)
    exit_reason = serializers.CharField(allow_null=True)
    last_refusal = serializers.CharField(allow_null=True)
    unprotected_quantity = DecimalTextField()
    unprotected_s = serializers.FloatField()
    opened_at = serializers.DateTimeField()
    protected_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    orders = BracketOrderSerializer(many=True)
    events = BracketEventSerializer(many=True)
