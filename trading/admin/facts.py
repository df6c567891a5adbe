"""What happened, to be read: orders, fills, the ledger, decisions, reconciliation, signs of life."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.utils.functional import cached_property

from nautilus_site.common.admin import ReadOnlyAdmin
from trading.models import (
    Account,
    Balance,
    Decision,
    Divergence,
    EquitySnapshot,
    Fill,
    LedgerEntry,
    ListingGrant,
    ObservedStep,
    Order,
    OrderCommand,
    OrderEvent,
    Plan,
    PlanShare,
    Position,
    ProcessHeartbeat,
    ReconcileRun,
    VenueEvent,
)

COUNTED = 100_000
"""Rows counted at most: a list that matches more shows these, newest first."""


class EstimatePaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts an unfiltered table by the planner's estimate, anything else up to a bound: counting reads rows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        if rows.query.where:
            return int(rows[:COUNTED].count())
        with connection.cursor() as cursor:
            table = rows.query.model._meta.db_table
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table])
            estimate = int(cursor.fetchone()[0])
        # A small or never analysed table is counted: an estimate of it may be -1 or far off.
        return int(rows[:COUNTED].count()) if estimate < 10_000 else estimate


class FactAdmin(ReadOnlyAdmin):
    """A table that only grows: newest first, never counted whole, never changed."""

    ordering = ("-pk",)
    paginator = EstimatePaginator
    show_full_result_count = False


@admin.register(Account)
class AccountAdmin(FactAdmin):
    list_display = ("name", "venue", "is_active", "opened_at", "reconciled_at", "peak_equity")
    list_filter = ("is_active", "venue")
    list_select_related = ("venue",)
    search_fields = ("name",)


@admin.register(Order)
class OrderAdmin(FactAdmin):
    list_display = (
        "created_at",
        "account",
        "instrument",
        "side",
        "type",
        "quantity",
        "price",
        "status",
        "executed_quantity",
        "strategy",
        "code",
        "client_order_id",
    )
    list_filter = ("status", "side", "origin", "account", "strategy", "created_at")
    list_select_related = ("account", "instrument", "strategy")
    search_fields = ("=client_order_id", "=venue_order_id", "=uid", "=instrument__symbol", "=code")


@admin.register(OrderEvent)
class OrderEventAdmin(FactAdmin):
    list_display = ("at", "order", "status", "source")
    list_filter = ("status", "source", "at")
    list_select_related = ("order",)
    search_fields = ("=order__client_order_id", "=order__uid")


@admin.register(OrderCommand)
class OrderCommandAdmin(FactAdmin):
    list_display = (
        "requested_at",
        "kind",
        "order",
        "state",
        "quantity",
        "price",
        "attempts",
        "requested_by",
        "code",
    )
    list_filter = ("kind", "state", "requested_at")
    list_select_related = ("order",)
    search_fields = ("=order__client_order_id", "=order__uid", "=intent_key")


@admin.register(Fill)
class FillAdmin(FactAdmin):
    list_display = (
        "recorded_at",
        "account",
        "instrument",
        "side",
        "quantity",
        "price",
        "commission",
        "commission_asset",
        "realized",
        "maker",
        "slippage_bps",
        "trade_id",
    )
    list_filter = ("side", "maker", "source", "account", "recorded_at")
    list_select_related = ("account", "instrument")
    search_fields = ("=trade_id", "=order__client_order_id", "=instrument__symbol")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(FactAdmin):
    list_display = ("at", "account", "transaction", "owner", "asset", "amount", "kind")
    list_filter = ("kind", "owner", "asset", "account", "at")
    list_select_related = ("account",)
    search_fields = ("=transaction",)


@admin.register(Balance)
class BalanceAdmin(FactAdmin):
    list_display = ("account", "asset", "amount", "reserved", "venue_free", "venue_locked", "venue_seen_at")
    list_filter = ("account",)
    list_select_related = ("account",)
    search_fields = ("=asset",)


@admin.register(Position)
class PositionAdmin(FactAdmin):
    list_display = (
        "account",
        "instrument",
        "quantity",
        "cost",
        "realized",
        "commission",
        "open_buy",
        "open_sell",
        "updated_at",
    )
    list_filter = ("account",)
    list_select_related = ("account", "instrument")
    search_fields = ("=instrument__symbol",)


@admin.register(EquitySnapshot)
class EquitySnapshotAdmin(FactAdmin):
    list_display = ("at", "account", "equity", "cash", "market_value", "unrealized", "realized", "commission")
    list_filter = ("account", "at")
    list_select_related = ("account",)


@admin.register(Decision)
class DecisionAdmin(FactAdmin):
    list_display = ("decided_at", "instance", "bar_open_at", "price", "target", "confidence", "reason")
    list_filter = ("instance__strategy", "reason", "decided_at")
    # The instance's name is made of its strategy and its instrument.
    list_select_related = ("instance__strategy", "instance__instrument")
    search_fields = ("=key", "=instance__instrument__symbol")


@admin.register(ListingGrant)
class ListingGrantAdmin(FactAdmin):
    list_display = ("strategy", "account", "quote_asset", "allocation", "per_day", "granted_by", "changed_at")
    list_select_related = ("strategy", "account")


@admin.register(ObservedStep)
class ObservedStepAdmin(FactAdmin):
    list_display = ("stepped_at", "instance", "trigger", "seen_ns", "seen", "said")
    list_filter = ("instance__strategy", "trigger")
    list_select_related = ("instance__strategy", "instance__instrument")


@admin.register(Plan)
class PlanAdmin(FactAdmin):
    list_display = (
        "created_at",
        "account",
        "instrument",
        "version",
        "position_quantity",
        "target_quantity",
        "price",
    )
    list_filter = ("account", "created_at")
    list_select_related = ("account", "instrument")
    search_fields = ("=instrument__symbol",)


@admin.register(PlanShare)
class PlanShareAdmin(FactAdmin):
    list_display = ("plan", "decision", "share")
    list_select_related = (
        "plan__account",
        "plan__instrument",
        "decision__instance__strategy",
        "decision__instance__instrument",
    )
    search_fields = ("=plan__instrument__symbol",)


@admin.register(ReconcileRun)
class ReconcileRunAdmin(FactAdmin):
    list_display = ("started_at", "account", "trigger", "outcome", "elapsed", "finished_at")
    list_filter = ("outcome", "trigger", "account", "started_at")
    list_select_related = ("account",)
    search_fields = ("=account__name",)

    @admin.display(description="took, s")
    def elapsed(self, run: Any) -> float | None:
        return round((run.finished_at - run.started_at).total_seconds(), 3) if run.finished_at else None


@admin.register(Divergence)
class DivergenceAdmin(FactAdmin):
    list_display = (
        "first_seen_at",
        "account",
        "kind",
        "subject",
        "sightings",
        "last_seen_at",
        "resolved_at",
        "resolution",
    )
    list_filter = ("kind", ("resolved_at", admin.EmptyFieldListFilter), "account", "first_seen_at")
    list_select_related = ("account",)
    search_fields = ("=subject",)


@admin.register(VenueEvent)
class VenueEventAdmin(FactAdmin):
    list_display = ("received_at", "account", "kind", "settled_at", "error")
    list_filter = ("kind", ("settled_at", admin.EmptyFieldListFilter), "account", "received_at")
    list_select_related = ("account",)
    search_fields = ("=digest",)


@admin.register(ProcessHeartbeat)
class ProcessHeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "host", "pid", "started_at", "beat_at")
    list_filter = ("kind",)
    search_fields = ("name",)
    ordering = ("name",)
