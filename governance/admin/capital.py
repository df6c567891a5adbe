"""What the allocator did: facts."""

from __future__ import annotations

from django.contrib import admin

from governance.models import Allocation, AllocationRun, CapitalState, RoutingDecision, RuleFiring
from nautilus_site.common.admin.read_only import ReadOnlyAdmin


@admin.register(AllocationRun)
class AllocationRunAdmin(ReadOnlyAdmin):
    list_display = ("at", "outcome", "method", "equity", "pool", "total", "drawdown", "trigger")
    list_filter = ("outcome", "method")
    ordering = ("-id",)


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin):
    list_display = ("run", "strategy", "before", "desired", "amount", "proposed", "rule")
    list_filter = ("rule",)
    list_select_related = ("run",)
    search_fields = ("=strategy",)
    ordering = ("-id",)


@admin.register(CapitalState)
class CapitalStateAdmin(ReadOnlyAdmin):
    list_display = ("multiplier", "stopped", "updated_at")


@admin.register(RoutingDecision)
class RoutingDecisionAdmin(ReadOnlyAdmin):
    list_display = ("at", "strategy", "account", "symbol", "base", "before", "weight", "rule")
    list_filter = ("rule",)
    search_fields = ("=strategy", "=symbol")
    ordering = ("-id",)


@admin.register(RuleFiring)
class RuleFiringAdmin(ReadOnlyAdmin):
    list_display = ("at", "rule", "trigger", "action", "outcome", "detail")
    list_filter = ("outcome", "rule")
    ordering = ("-id",)
