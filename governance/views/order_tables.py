"""Tables of orders, what they made and how positions are protected."""

from __future__ import annotations

from governance.views.tables import Column, Table

_ORDER_HEAD = (
    Column("created_at", "Time", "time"),
    Column("symbol", "Symbol"),
    Column("side", "Side", "side"),
    Column("type", "Type"),
    Column("status", "Status", "status"),
    Column("quantity", "Quantity", "decimal"),
    Column("price", "Price", "decimal"),
    Column("executed_quantity", "Filled", "decimal"),
)

_BRIEF_HEAD = tuple(column for column in _ORDER_HEAD if column.key != "type")

OPEN_ORDERS = Table(
    "orders",
    "Open orders",
    (*_BRIEF_HEAD, Column("strategy", "Strategy"), Column("action", "", "action")),
    "/api/v1/orders",
    "No order is working.",
    "Strategies send orders at each closed bar; a trader can place one from the blotter.",
)
RECENT_ORDERS = Table(
    "recent_orders",
    "Accepted and denied orders",
    (
        *_BRIEF_HEAD[:-1],
        Column("code", "Reason"),
        Column("strategy", "Strategy"),
        Column("action", "", "action"),
    ),
    "/api/v1/orders",
    "No order yet.",
    "Every order appears here, also the ones a rail has stopped, with the rail's code.",
)
BLOTTER_ORDERS = Table(
    "orders",
    "Orders",
    (
        *_ORDER_HEAD,
        Column("average_price", "Average", "decimal"),
        Column("code", "Reason"),
        Column("strategy", "Strategy"),
        Column("account", "Account"),
        Column("client_order_id", "Client order id", "mono"),
        Column("action", "", "action"),
    ),
    "/api/v1/orders",
    "No order matches.",
    "Clear the filter, or place a first order with “New order”.",
    tall=False,
    follows=("symbol", "account", "status", "side", "strategy", "open"),
)
BRACKETS = Table(
    "brackets",
    "Protection",
    (
        Column("symbol", "Symbol"),
        Column("state", "State"),
        Column("stop_in_force", "Stop", "decimal"),
        Column("targets", "Take profit"),
        Column("trailing", "Trail", "decimal"),
        Column("guards", "Guards"),
        Column("unprotected_s", "Unprotected s", "count"),
        Column("exit_reason", "Closing because"),
        Column("source", "Asked by"),
        Column("account", "Account"),
        Column("action", "", "action"),
    ),
    "/api/v1/brackets",
    "No position is protected.",
    "Give an order a stop loss or a take profit and it appears here.",
    tall=False,
)
FILLS = Table(
    "fills",
    "Recent fills",
    (
        Column("at", "Market time", "time"),
        Column("symbol", "Symbol"),
        Column("side", "Side", "side"),
        Column("quantity", "Quantity", "decimal"),
        Column("price", "Price", "decimal"),
        Column("fee", "Fee", "decimal"),
        Column("fee_asset", "in"),
        Column("realized_pnl", "Realised", "signed"),
        Column("strategy", "Strategy"),
    ),
    "/api/v1/fills",
    "No fill yet.",
    "A fill appears within a second of the exchange reporting it.",
    follows=("symbol",),
)
POSITIONS = Table(
    "positions",
    "Positions",
    (
        Column("symbol", "Symbol"),
        Column("account", "Account"),
        Column("quantity", "Quantity", "decimal"),
        Column("entry_price", "Entry", "price"),
        Column("mark_price", "Mark", "price"),
        Column("market_value", "Value", "money"),
        Column("unrealized_pnl", "Unrealised", "signed"),
        Column("realized_pnl", "Realised", "signed"),
    ),
    "/api/v1/positions",
    "Flat: nothing is held.",
    "The first fill opens a position; it is valued at the middle of bid and ask.",
)
STRATEGIES = Table(
    "strategies",
    "Strategies",
    (
        Column("lamp", "", "lamp"),
        Column("strategy", "Strategy"),
        Column("symbol", "Symbol"),
        Column("target", "Target", "percent"),
        Column("allocation", "Allocation", "money"),
        Column("reason", "Last decision"),
    ),
    "/api/v1/strategy/",
    "No strategy is defined.",
    "The demo defines some on the first start; others are added in the admin.",
    compact=True,
)
