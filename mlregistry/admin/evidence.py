"""Whether the market is still the one a version knows, and how often it named the paper exchange's truth."""

from __future__ import annotations

from django.contrib import admin

from mlregistry.admin.acting import RegistryAdmin
from mlregistry.models import DriftReport, TruthReport


@admin.register(DriftReport)
class DriftReportAdmin(RegistryAdmin):
    """One version on one day."""

    list_display = (
        "day", "version", "verdict", "alarms", "alarmed", "score_mean", "score_reference", "cusum_peak", "threshold",
        "occupancy_index", "bars", "on_page",
    )  # fmt: skip
    list_filter = ("verdict", "version__family__name")
    list_select_related = ("version__family",)
    search_fields = ("version__family__name",)
    date_hierarchy = "day"
    ordering = ("-day", "-id")


@admin.register(TruthReport)
class TruthReportAdmin(RegistryAdmin):
    """One version on one day of the paper exchange."""

    list_display = ("day", "version", "accuracy", "always", "probability", "rows", "measured_at", "on_page")
    list_filter = ("version__family__name",)
    list_select_related = ("version__family",)
    search_fields = ("version__family__name",)
    date_hierarchy = "day"
    ordering = ("-day", "-id")
