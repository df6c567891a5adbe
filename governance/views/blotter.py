"""`/orders/`: every order, explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.selectors.blotter import BlotterFilter, blotter_choices, blotter_state
from governance.selectors.shell import traded_symbols
from governance.views import order_tables
from governance.views.page import BEFORE, Page
from nautilus_site.common.models import User
from trading.domain.values import OrderType, Side, TimeInForce


class Blotter(Page):
    name = "orders"
    title = "Blotter"
    template = "governance/blotter.html"
    topics = ("orders", "fills", "trading_state", "approvals", "prices")
    filters, filtered = BlotterFilter, order_tables.BLOTTER_ORDERS.name
    parameters = (BEFORE, "explain")
    tables = (order_tables.BLOTTER_ORDERS, order_tables.BRACKETS, order_tables.FILLS)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return blotter_state(BlotterFilter.from_query(request.GET))

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **blotter_choices(),
            "symbols": traded_symbols(),
            "sides": [side.value for side in Side],
            "types": [kind.value for kind in OrderType],
            "times_in_force": [tif.value for tif in TimeInForce],
            "filter": state["filter"],
        }
