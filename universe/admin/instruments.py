from django.contrib import admin

from universe.admin.facts import FactAdmin
from universe.models import Instrument, InstrumentVersion, Listing, Venue


@admin.register(Venue)
class VenueAdmin(FactAdmin):
    list_display = ("name", "market", "environment", "last_synced_at")


@admin.register(Instrument)
class InstrumentAdmin(FactAdmin):
    list_display = ("symbol", "market", "status", "base_asset", "quote_asset", "version", "updated_at")
    list_filter = ("market", "status", "quote_asset")
    list_select_related = ("venue",)
    search_fields = ("symbol", "base_asset")


@admin.register(InstrumentVersion)
class InstrumentVersionAdmin(FactAdmin):
    list_display = ("instrument", "version", "status", "valid_from")
    list_filter = ("status",)
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)


@admin.register(Listing)
class ListingAdmin(FactAdmin):
    list_display = ("instrument", "listed_at", "seen_at", "missed_at", "opened_at")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
