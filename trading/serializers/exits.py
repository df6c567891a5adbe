"""Exits on the wire: a price, or an object that says more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField
from trading.serializers.strict import CountField, RequestSerializer

LARGEST = Decimal(10) ** 17
MOST_TARGETS = 10
_AMOUNT = {"type": "string", "format": "decimal"}


def _amount(*, required: bool = False) -> DecimalTextField:
    optional: dict[str, Any] = {} if required else {"required": False, "allow_null": True, "default": None}
    return DecimalTextField(positive=True, maximum=LARGEST, **optional)


class StopLossSerializer(RequestSerializer):
    """A stop with its limit, or a trailing one."""

    price = _amount()
    limit_price = _amount()
    activation_price = _amount()
    trailing = _amount()
    escalate_after_s = CountField(required=False, allow_null=True, default=None, min_value=1, max_value=3600)


class TakeProfitSerializer(RequestSerializer):
    """One target and the fraction of the entry it closes."""

    price = _amount(required=True)
    share = _amount()


@extend_schema_field(
    {
        "oneOf": [
            _AMOUNT,
            {
                "type": "object",
                "properties": {
                    "price": _AMOUNT,
                    "limit_price": _AMOUNT,
                    "trailing": _AMOUNT,
                    "activation_price": _AMOUNT,
                    "escalate_after_s": {"type": "integer", "minimum": 1, "maximum": 3600},
                },
                "additionalProperties": False,
            },
        ],
        "nullable": True,
        "description": "trigger price of the stop; or more: its limit, a trailing distance as a fraction",
    }
)
class StopLossField(serializers.Field[Any, Any, Any, Any]):
    """A price, or an object of `StopLossSerializer`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            return {"price": _amount(required=True).run_validation(data)}
        form = StopLossSerializer(data=data)
        form.is_valid(raise_exception=True)
        if form.validated_data["price"] is None and form.validated_data["trailing"] is None:
            raise serializers.ValidationError("give a price, a trailing distance, or both")
        return dict(form.validated_data)

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {
        "oneOf": [
            _AMOUNT,
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_TARGETS,
                "items": {
                    "oneOf": [
                        _AMOUNT,
                        {
                            "type": "object",
                            "properties": {"price": _AMOUNT, "share": _AMOUNT},
                            "required": ["price"],
                            "additionalProperties": False,
                        },
                    ]
                },
            },
        ],
        "nullable": True,
        "description": "one price, or a list of prices or of price and share (a fraction), nearest first",
    }
)
class TakeProfitField(serializers.Field[Any, Any, Any, Any]):
    """A price, or a list of prices and objects of `TakeProfitSerializer`."""

    def to_internal_value(self, data: Any) -> list[tuple[Decimal, Decimal | None]]:
        entries = data if isinstance(data, list) else [data]
        if not 1 <= len(entries) <= MOST_TARGETS:
            raise serializers.ValidationError(f"expected 1 to {MOST_TARGETS} targets")
        return [self._target(entry) for entry in entries]

    def _target(self, entry: Any) -> tuple[Decimal, Decimal | None]:
        if not isinstance(entry, dict):
            return _amount(required=True).run_validation(entry), None
        form = TakeProfitSerializer(data=entry)
        form.is_valid(raise_exception=True)
        return form.validated_data["price"], form.validated_data["share"]

    def to_representation(self, value: Any) -> Any:
        return value
