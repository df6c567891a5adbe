"""Requests that define strategies and grant them capital."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField, SymbolField
from nautilus_site.common.errors import ApplicationError
from trading.serializers.research import IntervalField, ParametersField
from trading.serializers.strict import ExpiryField, ReasonField, RequestSerializer, TextField

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,39}$"
_ONE_SYMBOL = ("account", "symbol")


class NameField(serializers.RegexField):
    """Small letters, digits, dashes and underscores: it is part of routes, metrics and client order ids."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NAME_PATTERN, max_length=40, **kwargs)


class PlaceSerializer(RequestSerializer):
    """A symbol of an account."""

    account = TextField(max_length=40)
    symbol = SymbolField()


class StrategyCreateSerializer(RequestSerializer):
    """A new strategy: switched off, without capital."""

    name = NameField()
    kind = TextField(max_length=300, help_text="a name of `/strategy-kinds`")
    interval = IntervalField(required=False, default="1m")
    parameters = ParametersField(required=False, default=dict)
    model_family = TextField(max_length=80, required=False, default="", allow_blank=True)
    description = TextField(max_length=2000, required=False, default="", allow_blank=True)
    instances = PlaceSerializer(many=True, required=False, default=list)
    reason = ReasonField()


class StrategyChangeSerializer(RequestSerializer):
    """What to change; `parameters` replaces all of them, so that leaving one out means its default."""

    interval = IntervalField(required=False)
    parameters = ParametersField(required=False)
    model_family = TextField(max_length=80, required=False, allow_blank=True)
    description = TextField(max_length=2000, required=False, allow_blank=True)
    reason = ReasonField()
    expires_in_s = ExpiryField()


class InstanceAddSerializer(PlaceSerializer):
    """One more symbol."""

    reason = ReasonField()


class GrantRequestSerializer(PlaceSerializer):
    """Weight and capital of one instance; what is left out stays."""

    weight = DecimalTextField(required=False, minimum=Decimal(0), maximum=Decimal(1))
    allocation = DecimalTextField(required=False, minimum=Decimal(0), help_text="quote currency")
    reason = ReasonField()
    expires_in_s = ExpiryField()


class ListingGrantSerializer(RequestSerializer):
    """What a strategy may put into each symbol that is listed from now on; zero takes it back."""

    account = TextField(max_length=40)
    allocation = DecimalTextField(minimum=Decimal(0), help_text="quote currency, for each listing")
    per_day = serializers.IntegerField(
        min_value=0, max_value=20, help_text="listings of 24 hours that may be bought, at most"
    )
    reason = ReasonField()
    expires_in_s = ExpiryField()


class SwitchSerializer(RequestSerializer):
    """A whole strategy, or one symbol of one account."""

    account = TextField(max_length=40, required=False)
    symbol = SymbolField(required=False)
    reason = ReasonField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len([name for name in _ONE_SYMBOL if name in attrs]) == 1:
            raise ApplicationError("INVALID_VALUE", "one symbol takes both account and symbol")
        return attrs


class SwitchProposalSerializer(SwitchSerializer):
    """The same where a second person decides."""

    expires_in_s = ExpiryField()
