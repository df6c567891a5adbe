"""Serializer fields for money and symbols."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from trading.domain.values import (
    MOST_DIGITS,
    TooManyDigits,
    decimal_text,
    normalise_symbol,
    written_decimal,
)


@extend_schema_field(OpenApiTypes.DECIMAL)
class DecimalTextField(serializers.Field[Decimal, Any, str, Any]):
    """A Decimal that travels as text.

    Accepts a JSON string or number; refuses NaN, infinity, and more than 28 digits in plain notation (so
    `1e400` cannot flood memory). `minimum` and `maximum` are inclusive; `positive` demands more than zero.
    """

    default_error_messages = {
        "invalid": "expected a decimal number as text, was {was}",
        "digits": "at most {limit} digits are accepted",
        "positive": "expected a number above zero, was {was}",
        "minimum": "expected at least {limit}, was {was}",
        "maximum": "expected at most {limit}, was {was}",
    }

    def __init__(
        self,
        *,
        positive: bool = False,
        minimum: Decimal | None = None,
        maximum: Decimal | None = None,
        **kwargs: Any,
    ) -> None:
        self.positive, self.minimum, self.maximum = positive, minimum, maximum
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal):
            self.fail("invalid", was=type(data).__name__)
        try:
            value = written_decimal(data)
        except TooManyDigits:
            self.fail("digits", limit=MOST_DIGITS)
        except ValueError:
            self.fail("invalid", was=repr(str(data)[:40]))
        if self.positive and value <= 0:
            self.fail("positive", was=decimal_text(value))
        if self.minimum is not None and value < self.minimum:
            self.fail("minimum", limit=decimal_text(self.minimum), was=decimal_text(value))
        if self.maximum is not None and value > self.maximum:
            self.fail("maximum", limit=decimal_text(self.maximum), was=decimal_text(value))
        return value

    def to_representation(self, value: Any) -> str:
        return decimal_text(value if isinstance(value, Decimal) else Decimal(str(value)))


@extend_schema_field(OpenApiTypes.STR)
class SymbolField(serializers.Field[str, Any, str, Any]):
    """A symbol in any common spelling (`btc/usdt`, `BTC-USDT`), kept plain (`BTCUSDT`)."""

    default_error_messages = {"invalid": "expected a symbol such as BTCUSDT, was {was}"}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not data.isascii() or len(data) > 40:
            self.fail("invalid", was=repr(data)[:48])
        try:
            return normalise_symbol(data)
        except ValueError:
            self.fail("invalid", was=repr(data)[:48])

    def to_representation(self, value: Any) -> str:
        return str(value)
