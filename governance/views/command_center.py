"""`/`: the whole platform on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.selectors.command_center import command_center_state
from governance.selectors.shell import traded_symbols
from governance.views import ops_tables, order_tables, risk_tables
from governance.views.page import ALL_TOPICS, Page
from governance.views.tables import cell_text
from nautilus_site.common.models import User
from trading.domain.values import normalise_symbol

INTERVALS = ("1m", "5m", "15m", "1h", "4h", "1d")


class CommandCenter(Page):
    name = "command-center"
    title = "Command Center"
    template = "governance/command_center.html"
    topics = ALL_TOPICS
    parameters = ("symbol", "interval")
    tables = (
        order_tables.OPEN_ORDERS,
        order_tables.RECENT_ORDERS,
        order_tables.FILLS,
        order_tables.POSITIONS,
        order_tables.STRATEGIES,
        risk_tables.LIMITS,
        risk_tables.BREAKER_LAMPS,
        ops_tables.PROCESSES,
    )

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return command_center_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        tiles = [{**tile, "text": cell_text(tile["kind"], tile["value"])} for tile in state["tiles"]]
        return {
            "tiles": tiles,
            "symbols": traded_symbols(),
            "symbol": chosen_symbol(request, state),
            "intervals": INTERVALS,
        }

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"symbol": chosen_symbol(request, state), "intervals": list(INTERVALS)}


def chosen_symbol(request: HttpRequest, state: Mapping[str, Any]) -> str:
    """The symbol the URL names if we know it, else one we hold or traded last; empty while there is none."""
    symbols = traded_symbols()
    try:
        wanted = normalise_symbol(request.GET.get("symbol", ""))
    except ValueError:
        wanted = ""
    held = [row["symbol"] for row in (*state["positions"], *state["fills"])]
    return next((symbol for symbol in (wanted, *held, *symbols) if symbol in symbols), "")
