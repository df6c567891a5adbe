"""Query parameters, checked."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from trading.domain.clock import interval_ns


class BarsQuery(serializers.Serializer[Any]):
    """`/bars`."""

    symbol = serializers.CharField(max_length=40, help_text="any common spelling, e.g. BTCUSDT or btc/usdt")
    interval = serializers.CharField(max_length=4, default="1m", help_text="1s to 1w")
    market = serializers.ChoiceField(choices=("spot", "usdm"), default="spot")
    limit = serializers.IntegerField(min_value=1, max_value=1500, default=500)
    until = serializers.DateTimeField(
        required=False, help_text="market time; only bars closed at or before it (default: all)"
    )

    def validate_interval(self, value: str) -> str:
        try:
            interval_ns(value)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return value
