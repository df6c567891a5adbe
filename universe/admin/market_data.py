from django.contrib import admin

from universe.admin.facts import FactAdmin
from universe.models import Bar, FundingRate, KlineFile, Quote, StreamState, VenueBackoff


@admin.register(Bar)
class BarAdmin(FactAdmin):
    list_display = ("instrument", "interval", "open_time", "open", "high", "low", "close", "volume", "source")
    list_filter = ("interval", "source")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
    ordering = ("-id",)


@admin.register(Quote)
class QuoteAdmin(FactAdmin):
    list_display = ("instrument", "bid", "ask", "last_price", "received_at")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)


@admin.register(FundingRate)
class FundingRateAdmin(FactAdmin):
    list_display = ("symbol", "funding_at", "rate", "mark_price", "source", "received_at")
    list_filter = ("source",)
    search_fields = ("symbol",)
    date_hierarchy = "funding_at"
    ordering = ("-funding_at", "symbol")


@admin.register(KlineFile)
class KlineFileAdmin(FactAdmin):
    list_display = (
        "path",
        "rows",
        "first_open_time",
        "last_open_time",
        "missing_bars",
        "sha256",
        "created_at",
    )
    list_filter = ("market", "interval")
    search_fields = ("symbol",)


@admin.register(StreamState)
class StreamStateAdmin(FactAdmin):
    list_display = ("name", "connected_at", "last_message_at", "gap_since", "reconnects", "detail")


@admin.register(VenueBackoff)
class VenueBackoffAdmin(FactAdmin):
    list_display = ("venue", "used_weight", "weight_limit", "used_at", "blocked_until", "reason")
