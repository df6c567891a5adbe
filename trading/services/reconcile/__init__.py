"""Comparing our books with the venue: at the start, on a schedule, after a gap, and when somebody asks.

What the venue lists as a trade is booked; what nothing explains stays open as a divergence and keeps new risk
out. Nothing is ever assumed filled, and no sweep gives up.
"""

from trading.services.reconcile.adopting import adopt_request
from trading.services.reconcile.periods import sweep_period_change
from trading.services.reconcile.requests import reconcile_request
from trading.services.reconcile.retention import reconcile_runs_prune
from trading.services.reconcile.runs import account_reconcile
from trading.services.reconcile.schedule import sweep_if_due, sweeps_restart
from trading.services.reconcile.unknown import account_resolve

__all__ = [
    "account_reconcile",
    "account_resolve",
    "adopt_request",
    "reconcile_request",
    "reconcile_runs_prune",
    "sweep_if_due",
    "sweep_period_change",
    "sweeps_restart",
]
