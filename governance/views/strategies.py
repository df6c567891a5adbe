"""`/strategies/`: what trades by itself, what it has made, and changing it under the two-person rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.selectors.strategies import strategies_state
from governance.views.page import Page
from governance.views.tables import Column, Table
from nautilus_site.common.models import User
from trading.domain.clock import INTERVALS
from trading.services.strategy_kinds import strategy_kinds

STRATEGIES = Table(
    "strategies",
    "Strategies",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Strategy"),
        Column("kind", "Kind"),
        Column("interval", "Bars"),
        Column("model", "Model"),
        Column("symbols", "Symbols", "count"),
        Column("listings", "New listings"),
        Column("allocation", "Capital", "money"),
        Column("exposure_net", "Exposure", "money"),
        Column("net_pnl", "Net result", "signed"),
        Column("realized_pnl", "Realised", "signed"),
        Column("unrealized_pnl", "Open", "signed"),
        Column("fees", "Fees", "money"),
        Column("funding", "Funding", "money"),
        Column("decided_at", "Decided", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/strategy/",
    "No strategy is defined.",
    "Press “New strategy”. It begins switched off and without capital: a second person approves both.",
    tall=False,
)
INSTANCES = Table(
    "instances",
    "Symbols",
    (
        Column("lamp", "State", "lamp"),
        Column("strategy", "Strategy"),
        Column("account", "Account"),
        Column("symbol", "Symbol"),
        Column("allocation", "Capital", "money"),
        Column("weight", "Weight", "percent"),
        Column("target", "Wants", "percent"),
        Column("position", "Holds", "decimal"),
        Column("reason", "Because"),
        Column("confidence", "Confidence", "percent"),
        Column("last_bar_at", "Bar", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/strategy/",
    "No strategy has a symbol.",
    "Press “Add symbol” in a strategy's row.",
    tall=False,
)
QUOTING = Table(
    "quoting",
    "Quotes",
    (
        Column("lamp", "State", "lamp"),
        Column("strategy", "Strategy"),
        Column("account", "Account"),
        Column("symbol", "Symbol"),
        Column("bid", "Bid that stands", "mono"),
        Column("ask", "Ask that stands", "mono"),
        Column("wants", "Wants", "mono"),
        Column("spread_bps", "Spread, bps", "decimal"),
        Column("book_spread_bps", "Book, bps", "decimal"),
        Column("inventory", "Inventory", "decimal"),
        Column("reason", "Because"),
        Column("stepped_age", "Looked", "age"),
    ),
    "/api/v1/strategy/",
    "No strategy quotes.",
    "A strategy that makes a market shows its quotes here once it has seen a bar of its symbol.",
    tall=False,
)


class Strategies(Page):
    name = "strategies"
    title = "Strategies"
    template = "governance/strategies.html"
    topics = ("decisions", "orders", "trading_state", "approvals", "fills", "models")
    tables = (STRATEGIES, INSTANCES, QUOTING)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return strategies_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        kinds = [kind.members() for kind in strategy_kinds()]
        return {"kinds": [kind for kind in kinds if not kind["error"]], "intervals": list(INTERVALS)}

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        kinds = strategy_kinds()
        listings = {kind.name: kind.strategy is not None and kind.strategy.trades_listings for kind in kinds}
        return {"kinds": [kind.members() | {"trades_listings": listings[kind.name]} for kind in kinds]}
