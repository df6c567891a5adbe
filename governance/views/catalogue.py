"""Every table of the pages, by name."""

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
LIMITS = Table(
    "limits",
    "Limits in force",
    (
        Column("name", "Limit"),
        Column("scope", "Scope"),
        Column("used", "Used", "decimal"),
        Column("value", "Limit", "decimal"),
        Column("unit", "Unit"),
        Column("share", "Used of limit", "bar"),
        Column("headroom", "Headroom", "decimal"),
        Column("in_force_until", "In force until", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/limits",
    "No limit is in force.",
    "Without limits no order passes: seed the demo or set limits in the admin.",
    tall=False,
)
BREAKER_LAMPS = Table(
    "breakers",
    "Circuit breakers",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Breaker"),
        Column("scope", "Scope"),
        Column("reason", "Reason", wrap=True),
    ),
    "/api/v1/breakers",
    "No breaker is defined.",
    "Breakers are made with the first account.",
    compact=True,
)
BREAKERS = Table(
    "breakers",
    "Circuit breakers",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Breaker"),
        Column("scope", "Scope"),
        Column("reading", "Measured"),
        Column("does", "Open, it does", wrap=True),
        Column("reason", "Reason", wrap=True),
        Column("changed_at", "Since", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/breakers",
    "No breaker is defined.",
    "Breakers are made with the first account.",
    tall=False,
)
PROCESSES = Table(
    "processes",
    "Workers, streams, reconciliation",
    (
        Column("lamp", "", "lamp"),
        Column("kind", "Kind"),
        Column("name", "Name"),
        Column("age_s", "Silent for", "age"),
        Column("detail", "Detail", wrap=True),
    ),
    "/api/v1/status",
    "No process has reported yet.",
    "Each writes a heartbeat every few seconds once the platform is up.",
    compact=True,
)
STATES = Table(
    "states",
    "Trading states by scope",
    (
        Column("state", "Level", "lamp"),
        Column("scope", "Scope"),
        Column("allowed", "What is still allowed", wrap=True),
        Column("reason", "Reason", wrap=True),
        Column("changed_by", "By"),
        Column("at", "Since", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/status",
    "No scope has a level of its own.",
    "Halt sets one; it stays until two people lower it.",
    tall=False,
)
RAILS = Table(
    "rails",
    "Rails in the order they are asked",
    (
        Column("rail", "Rail", "mono"),
        Column("check", "Check"),
        Column("code", "Denies with", "mono"),
        Column("limit", "Limit"),
        Column("scope", "Tightest scope"),
        Column("used", "Now", "decimal"),
        Column("value", "Limit value", "decimal"),
        Column("headroom", "Headroom", "decimal"),
        Column("unit", "Unit"),
        Column("denials", "Denials 24 h", "count"),
        Column("last_at", "Last", "time"),
    ),
    "/api/v1/limits",
    "No rail is declared.",
    "Every order passes every rail; the first that denies is the answer.",
)
DENIALS = Table(
    "denials",
    "Denials by code, last 24 hours",
    (Column("code", "Code", "mono"), Column("count", "Orders", "count"), Column("last_at", "Last", "time")),
    "/api/v1/orders?status=DENIED",
    "No order was denied.",
    "A denied order names its rail, what was measured and the limit.",
)
ENFORCEMENTS = Table(
    "enforcements",
    "Kill enforcement at the exchange",
    (
        Column("lamp", "State", "lamp"),
        Column("scope", "Scope"),
        Column("account", "Account"),
        Column("enforcer", "By"),
        Column("cancel_requested", "Cancels asked", "count"),
        Column("open_orders_remaining", "Open left", "count"),
        Column("unknown_remaining", "Unknown", "count"),
        Column("started_at", "Started", "time"),
        Column("confirmed_at", "Confirmed", "time"),
        Column("error", "Error", wrap=True),
    ),
    "/api/v1/status",
    "No kill was enforced yet.",
    "After a halt two processes cancel, each on its own, until the exchange shows no open order twice.",
)
QUEUES = Table(
    "queues",
    "Queues",
    (Column("queue", "Queue"), Column("depth", "Waiting", "count")),
    "/api/v1/status",
    "The broker did not answer.",
    "Messages are hints: work goes on from the database, a little later.",
)
RUNS = Table(
    "runs",
    "Reconciliation runs",
    (
        Column("started_at", "Started", "time"),
        Column("account", "Account"),
        Column("sweep", "Sweep"),
        Column("trigger", "Trigger"),
        Column("outcome", "Outcome", "status"),
        Column("elapsed_s", "Took", "age"),
        Column("found", "Report", wrap=True),
    ),
    "/api/v1/reconcile/runs",
    "No run yet.",
    "Press “Reconcile now”: our books are compared with the exchange's.",
)
DIVERGENCES = Table(
    "divergences",
    "Open differences",
    (
        Column("state", "State", "status"),
        Column("kind", "Kind"),
        Column("account", "Account"),
        Column("subject", "About"),
        Column("ours", "Ours", "json"),
        Column("theirs", "Exchange", "json"),
        Column("age_s", "Open for", "age"),
        Column("sightings", "Seen", "count"),
        Column("attempts", "Attempts", "count"),
        Column("evidence_text", "Second evidence", wrap=True),
        Column("effect", "In force because of it", wrap=True),
        Column("action", "", "action"),
    ),
    "/api/v1/reconcile/divergences?open=true",
    "Our books and the exchange's agree.",
    "A difference stays here, open and halting, until something explains it.",
)
RECONCILE_BALANCES = Table(
    "balances",
    "Balances",
    (
        Column("verdict", "State", "status"),
        Column("account", "Account"),
        Column("asset", "Asset"),
        Column("ours", "Ours", "decimal"),
        Column("theirs", "Exchange", "decimal"),
        Column("difference", "Difference", "decimal"),
        Column("age_s", "Read", "age"),
    ),
    "/api/v1/balances",
    "No balance yet.",
    "The first reconciliation of an account books its opening balances.",
)
RECONCILE_POSITIONS = Table(
    "positions",
    "Positions",
    (
        Column("verdict", "State", "status"),
        Column("account", "Account"),
        Column("symbol", "Symbol"),
        Column("side", "Side"),
        Column("ours", "Ours", "decimal"),
        Column("theirs", "Exchange", "decimal"),
        Column("age_s", "Read", "age"),
    ),
    "/api/v1/positions",
    "Flat here and there.",
    "Spot positions are compared as balances; futures positions with the exchange's own list.",
)
RECONCILE_ORDERS = Table(
    "orders",
    "Open orders",
    (
        Column("verdict", "State", "status"),
        Column("account", "Account"),
        Column("symbol", "Symbol"),
        Column("side", "Side", "side"),
        Column("ours", "Ours", "status"),
        Column("ours_executed", "Filled", "decimal"),
        Column("theirs", "Exchange", "status"),
        Column("theirs_executed", "Filled there", "decimal"),
        Column("service", "Service"),
        Column("client_order_id", "Client order id", "mono"),
    ),
    "/api/v1/orders",
    "No order is open here or there.",
    "An order that is open at the exchange and not ours is adopted as EXTERNAL.",
)
RECONCILE_FILLS = Table(
    "fills",
    "Fills, by trade id",
    (
        Column("account", "Account"),
        Column("symbol", "Symbol"),
        Column("fills", "Booked", "count"),
        Column("last_booked", "Newest booked", "count"),
        Column("read_to", "Read without a gap to", "count"),
        Column("age_s", "Asked", "age"),
        Column("deep_age_s", "All orders looked at", "age"),
    ),
    "/api/v1/fills",
    "No symbol is watched yet.",
    "Each symbol's trades are read by id from here on, so that none can be missed.",
)
SWEEPS = Table(
    "sweeps",
    "Sweeps",
    (
        Column("sweep", "Sweep"),
        Column("what", "Compares", wrap=True),
        Column("account", "Account"),
        Column("every_s", "Every", "age"),
        Column("age_s", "Last", "age"),
        Column("next_s", "Next in", "age"),
        Column("failures", "Failed in a row", "count"),
    ),
    "/api/v1/reconcile/runs",
    "Nothing has run yet.",
    "The control worker looks once a second which sweep is due.",
    compact=True,
)
STATEMENTS = Table(
    "statements",
    "Signed statements",
    (
        Column("day", "Day"),
        Column("account", "Account"),
        Column("agrees", "Agrees", "flag"),
        Column("orders", "Orders", "count"),
        Column("fills", "Fills", "count"),
        Column("sha256", "SHA-256", "mono"),
        Column("path", "File", "mono"),
    ),
    "/api/v1/reconcile/statements",
    "No day is over yet.",
    "Five minutes after midnight UTC each account's day is compared in full, signed and written to a file.",
)
HISTORY = Table(
    "history",
    "Decided, expired and void",
    (
        Column("created_at", "Requested", "time"),
        Column("state", "State", "status"),
        Column("kind", "Kind"),
        Column("target", "Target"),
        Column("requester", "Requester"),
        Column("approver", "Decided by"),
        Column("reason", "Reason", wrap=True),
        Column("note", "Note", wrap=True),
        Column("decided_at", "Decided", "time"),
    ),
    "/api/v1/approvals",
    "Nothing was decided yet.",
    "Requests that were approved, rejected, or ran out of time are kept here.",
)
