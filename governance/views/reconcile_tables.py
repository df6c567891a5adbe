"""Tables of our books beside the exchange's."""

from __future__ import annotations

from governance.views.tables import Column, Table

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
        Column("read_to", "Read to", "count"),
        Column("age_s", "Asked", "age"),
        Column("deep_age_s", "All orders", "age"),
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
