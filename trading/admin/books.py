"""The books and how they are compared: what owners hold, snapshots, statements, and how often each sweep runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from nautilus_site.common.models import ChangeRequest
from trading.admin.facts import FactAdmin
from trading.admin.intent import IntentAdmin, acting, request_or_none
from trading.models import (
    BookSnapshot,
    MarginTerms,
    PositionTransfer,
    Statement,
    SubBalance,
    SubPosition,
    SweepPeriod,
    SweepState,
    TradeCursor,
)
from trading.services.reconcile import sweep_period_change


@admin.register(SweepPeriod)
class SweepPeriodAdmin(IntentAdmin):
    """Looking more often applies at once, looking less often is a request."""

    change_permission = "platform.propose"
    governed_fields = ("every_s",)
    list_display = ("sweep", "every_s")
    ordering = ("sweep",)

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        actor = acting(request, "platform.propose")
        return request_or_none(
            sweep_period_change(sweep=obj.pk, every_s=payload["every_s"], actor=actor, reason=reason)
        )


@admin.register(SweepState)
class SweepStateAdmin(FactAdmin):
    list_display = ("account", "sweep", "started_at", "finished_at", "failures")
    list_filter = ("sweep", "account")
    list_select_related = ("account",)


@admin.register(TradeCursor)
class TradeCursorAdmin(FactAdmin):
    list_display = ("account", "instrument", "last_trade_id", "last_order_id", "swept_at", "deep_swept_at")
    list_filter = ("account",)
    list_select_related = ("account", "instrument")
    search_fields = ("=instrument__symbol",)


@admin.register(Statement)
class StatementAdmin(FactAdmin):
    list_display = ("day", "account", "agrees", "digest", "created_at")
    list_filter = ("agrees", "account", "day")
    list_select_related = ("account",)
    search_fields = ("=digest",)


@admin.register(BookSnapshot)
class BookSnapshotAdmin(FactAdmin):
    list_display = ("at", "account", "last_fill_id", "last_ledger_id", "digest")
    list_filter = ("account", "at")
    list_select_related = ("account",)
    search_fields = ("=digest",)


@admin.register(SubPosition)
class SubPositionAdmin(FactAdmin):
    list_display = ("position", "owner", "quantity", "cost", "realized", "commission", "funding")
    list_filter = ("owner", "position__account")
    # A position's name is made of its account and its instrument.
    list_select_related = ("position__account", "position__instrument")
    search_fields = ("=position__instrument__symbol",)


@admin.register(SubBalance)
class SubBalanceAdmin(FactAdmin):
    list_display = ("account", "owner", "asset", "amount")
    list_filter = ("owner", "account")
    list_select_related = ("account",)
    search_fields = ("=asset",)


@admin.register(PositionTransfer)
class PositionTransferAdmin(FactAdmin):
    list_display = ("at", "position", "kind", "side", "giver", "taker", "quantity", "price", "quote")
    list_filter = ("kind", "position__account", "at")
    list_select_related = ("position__account", "position__instrument")
    search_fields = ("=position__instrument__symbol",)


@admin.register(MarginTerms)
class MarginTermsAdmin(FactAdmin):
    list_display = ("account", "instrument", "leverage", "isolated", "seen_at")
    list_filter = ("account", "isolated")
    list_select_related = ("account", "instrument")
    search_fields = ("=instrument__symbol",)
