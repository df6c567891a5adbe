"""How instruments, quotes and bars look in JSON. Decimals are text without exponent or trailing zeros."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField
from trading.domain.clock import ns_to_datetime
from trading.domain.values import decimal_text
from universe.domain.bars import BarRecord
from universe.models import Instrument, Quote


class QuoteSerializer(serializers.ModelSerializer[Quote]):
    """Top of book; a side that is empty at the venue is null. Freshness goes by `received_at`, wall time."""

    bid = DecimalTextField(read_only=True, allow_null=True)
    ask = DecimalTextField(read_only=True, allow_null=True)
    bid_quantity = DecimalTextField(read_only=True)
    ask_quantity = DecimalTextField(read_only=True)
    last_price = DecimalTextField(read_only=True, allow_null=True)

    class Meta:
        model = Quote
        fields = ("bid", "ask", "bid_quantity", "ask_quantity", "last_price", "market_time", "received_at")
        read_only_fields = fields


class InstrumentFiltersSerializer(serializers.Serializer[Any]):
    """The venue's limits in our words; "0" means that there is no such limit."""

    tick_size = DecimalTextField(read_only=True)
    step_size = DecimalTextField(read_only=True)
    min_price = DecimalTextField(read_only=True)
    max_price = DecimalTextField(read_only=True)
    min_quantity = DecimalTextField(read_only=True)
    max_quantity = DecimalTextField(read_only=True)
    min_notional = DecimalTextField(read_only=True)
    max_notional = DecimalTextField(read_only=True)
    max_open_orders = serializers.IntegerField(read_only=True)
    order_types = serializers.ListField(child=serializers.CharField(), read_only=True)


class InstrumentSerializer(serializers.ModelSerializer[Instrument]):
    """An instrument with its filters, null where the stored entry cannot be read, and its latest quote."""

    venue = serializers.CharField(source="venue.name", read_only=True)
    filters = serializers.SerializerMethodField()
    quote = serializers.SerializerMethodField()

    class Meta:
        model = Instrument
        fields = (
            "id", "symbol", "market", "venue", "base_asset", "quote_asset", "status", "version",
            "listed_at", "first_seen_at", "updated_at", "filters", "quote",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(InstrumentFiltersSerializer(allow_null=True))
    def get_filters(self, row: Instrument) -> dict[str, Any] | None:
        try:
            domain = row.to_domain()
        except (ValueError, KeyError):
            return None
        names = [str(name) for name in InstrumentFiltersSerializer().get_fields()]
        names = [name for name in names if name not in ("max_open_orders", "order_types")]
        return {
            **{name: decimal_text(getattr(domain, name)) for name in names},
            "max_open_orders": domain.max_open_orders,
            "order_types": sorted(domain.order_types),
        }

    @extend_schema_field(QuoteSerializer(allow_null=True))
    def get_quote(self, row: Instrument) -> dict[str, Any] | None:
        quote = getattr(row, "quote", None)
        return None if quote is None else dict(QuoteSerializer(quote).data)


class BarSerializer(serializers.Serializer[BarRecord]):
    """A closed bar; `time` is the open time in seconds since the epoch, as charts want it."""

    time = serializers.SerializerMethodField()
    open_time = serializers.SerializerMethodField()
    close_time = serializers.SerializerMethodField()
    open = DecimalTextField(read_only=True)
    high = DecimalTextField(read_only=True)
    low = DecimalTextField(read_only=True)
    close = DecimalTextField(read_only=True)
    volume = DecimalTextField(read_only=True)
    quote_volume = DecimalTextField(read_only=True)
    trades = serializers.IntegerField(read_only=True)

    @extend_schema_field(serializers.IntegerField())
    def get_time(self, bar: BarRecord) -> int:
        return bar.open_time_ns // 1_000_000_000

    @extend_schema_field(serializers.DateTimeField())
    def get_open_time(self, bar: BarRecord) -> str:
        return ns_to_datetime(bar.open_time_ns).isoformat().replace("+00:00", "Z")

    @extend_schema_field(serializers.DateTimeField())
    def get_close_time(self, bar: BarRecord) -> str:
        return ns_to_datetime(bar.close_time_ns).isoformat().replace("+00:00", "Z")


class BarsSerializer(serializers.Serializer[Any]):
    """Bars in ascending time."""

    symbol = serializers.CharField()
    market = serializers.CharField()
    interval = serializers.CharField()
    results = BarSerializer(many=True)
