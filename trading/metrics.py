"""Counters and histograms of the order path. Gauges are read from Postgres at scrape time, in the selectors.

With `PROMETHEUS_MULTIPROC_DIR` set the client library keeps every value in a file per process and a scrape
adds them up; nothing here depends on which process increments.
"""

from prometheus_client import Counter, Histogram

ORDERS_SUBMITTED = Counter("orders_submitted_total", "Orders handed to a venue.")
ORDERS_FILLED = Counter("orders_filled_total", "Orders that ended completely filled.")
ORDERS_REJECTED = Counter("orders_rejected_total", "Orders the venue refused.")
ORDERS_DENIED = Counter("orders_denied_total", "Orders stopped by one of our rails.", ["rail"])
ORDERS_CANCELED = Counter("orders_canceled_total", "Orders that ended canceled.")
ORDERS_UNKNOWN = Counter("orders_unknown_total", "Orders sent whose outcome was not known at first.")
FILLS = Counter("fills_total", "Fills booked.")
FEES_PAID_USD = Counter("fees_paid_usd_total", "Commission paid, valued in USD when it was booked.")

BREAKER_REJECTIONS = Counter("breaker_rejections_total", "Orders denied by an open circuit breaker.")
BREAKER_CHANGES = Counter(
    "breaker_changes_total", "Times a circuit breaker changed its state.", ["breaker", "state"]
)
STRATEGY_DECISIONS = Counter("strategy_decisions_total", "Decisions recorded.", ["strategy"])
LISTINGS_TAKEN_UP = Counter(
    "listings_taken_up_total", "New listings given to a strategy that may trade them.", ["strategy"]
)
RECONCILE_RUNS = Counter("reconcile_runs_total", "Reconciliations finished.")
RECONCILE_REPAIRS = Counter("reconcile_repairs_total", "Missing facts that reconciliation booked.")
INCIDENTS = Counter("incidents_total", "Incidents people were called to.", ["kind"])
KILL_SWITCH = Counter("kill_switch_total", "Times a kill level was raised.")
FLATTEN_STOPPED = Counter("flatten_stopped_total", "Positions a flatten could not close and left to people.")
ORPHAN_ORDERS = Counter("orphan_orders_total", "Protective orders found open whose bracket was over.")
RATE_LIMITED = Counter("rate_limited_total", "Calls a venue refused for their rate.", ["venue"])
BUILD_REFUSED = Counter("build_refused_total", "Lanes refused to a worker of a build that is not deployed.")
INVARIANT_VIOLATIONS = Counter("invariant_violations_total", "Broken invariants found.", ["invariant"])

_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)

SUBMIT_TO_ACK = Histogram(
    "submit_to_ack_seconds", "From sending an order to the venue's acknowledgement.", buckets=_LATENCY_S
)
DECISION_TO_ACK = Histogram(
    "decision_to_ack_seconds", "From a decision to its order's acknowledgement.", buckets=_LATENCY_S
)
FILL_TO_SCREEN = Histogram(
    "fill_to_screen_seconds", "From hearing of a fill to pushing it to the screens.", buckets=_LATENCY_S
)
RISK_CHECK = Histogram(
    "risk_check_seconds",
    "Judging one order by all rails.",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)
RECONCILE_DURATION = Histogram(
    "reconcile_seconds",
    "One reconciliation of one account.",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
EXEC_SLIPPAGE = Histogram(
    "exec_slippage_bps",
    "Fill price against the mid price on arrival; positive is worse for us.",
    buckets=(-50.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
)
