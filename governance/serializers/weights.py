"""Weights, routing decisions and promotion by tag."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlregistry.serializers import TRADING_STAGES
from nautilus_site.common.api.fields import DecimalTextField
from trading.serializers.strict import ExpiryField, ReasonField, RequestSerializer, TextField, WordField


class WeightsChangeSerializer(RequestSerializer):
    """New weights of some strategies, or of `strategy:SYMBOL`; the others stay."""

    weights = serializers.DictField(child=DecimalTextField(), allow_empty=False)
    reason = ReasonField()
    expires_in_s = ExpiryField()


class WeightInForceSerializer(serializers.Serializer[Any]):
    """One strategy on one symbol; `rule` and `reason` are the router's newest, null while it never acted."""

    strategy = serializers.CharField()
    account = serializers.CharField()
    symbol = serializers.CharField()
    weight = serializers.CharField(help_text="in force")
    base = serializers.CharField(allow_null=True, help_text="by the weight set")
    ceiling = serializers.CharField(
        allow_null=True, help_text="somebody lowered it to this by hand: the router goes no higher"
    )
    lowered_by = serializers.CharField(allow_null=True)
    rule = serializers.CharField(
        allow_null=True, help_text="`changed_since`: it was set after the router decided"
    )
    rule_in_words = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)


class WeightsSerializer(serializers.Serializer[Any]):
    """The weight set and what is in force. `weights` has the largest weight of each strategy."""

    version = serializers.IntegerField(allow_null=True)
    weights = serializers.DictField(child=serializers.CharField())
    document = serializers.JSONField(allow_null=True)
    in_force = WeightInForceSerializer(many=True)


class RoutingDecisionSerializer(serializers.Serializer[Any]):
    """One change of one weight by the router."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    strategy = serializers.CharField()
    account = serializers.CharField()
    symbol = serializers.CharField()
    base = serializers.CharField()
    before = serializers.CharField()
    weight = serializers.CharField()
    rule = serializers.CharField()
    rule_in_words = serializers.CharField()
    reason = serializers.CharField()
    regime = serializers.JSONField(allow_null=True)
    weight_set = serializers.IntegerField()


class PromoteByTagSerializer(RequestSerializer):
    """A model by its tag, `family@version`, as decisions and `/metrics` name it."""

    model_tag = TextField(max_length=100)
    stage = WordField(choices=TRADING_STAGES, required=False, default="champion")
    reason = ReasonField()
    expires_in_s = ExpiryField()
