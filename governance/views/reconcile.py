"""`/reconcile/`: our books beside the exchange's, and what to do about a difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.selectors.blotter import blotter_choices
from governance.selectors.reconcile import reconcile_state
from governance.views import reconcile_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Reconcile(Page):
    name = "reconcile"
    title = "Reconcile"
    template = "governance/reconcile.html"
    topics = ("trading_state", "approvals", "incidents", "reconcile")
    tables = (
        reconcile_tables.DIVERGENCES,
        reconcile_tables.RECONCILE_BALANCES,
        reconcile_tables.RECONCILE_POSITIONS,
        reconcile_tables.RECONCILE_ORDERS,
        reconcile_tables.RECONCILE_FILLS,
        reconcile_tables.SWEEPS,
        reconcile_tables.RUNS,
        reconcile_tables.STATEMENTS,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return reconcile_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"accounts": blotter_choices()["accounts"]}
