"""`/ops/`: is everything alive, and do our books agree with the exchange's?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.selectors.blotter import blotter_choices
from governance.selectors.fault_injection import last_fault_injection
from governance.selectors.ops import ops_state
from governance.views import ops_tables, reconcile_tables
from governance.views.page import Page
from nautilus_site.common.models import User


class Ops(Page):
    name = "ops"
    title = "Operations"
    template = "governance/ops.html"
    topics = ("trading_state", "approvals", "incidents")
    tables = (ops_tables.PROCESSES, ops_tables.QUEUES, reconcile_tables.RUNS, reconcile_tables.DIVERGENCES)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return ops_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"accounts": blotter_choices()["accounts"], "fault_injection": last_fault_injection()}
