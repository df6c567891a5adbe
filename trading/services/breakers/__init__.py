"""Circuit breakers as rows: measures over windows, judged by the kernel's state machine."""

from trading.services.breakers.catalogue import KINDS, VENUE_BAN, VENUE_ERROR_RATE, VENUE_RATE_LIMIT
from trading.services.breakers.evaluation import breaker_members, breaker_trip, breakers_evaluate
from trading.services.breakers.rows import (
    apply_reset,
    apply_rule,
    breaker_force_open,
    breaker_reset_request,
    breaker_rows,
    breaker_rule_change,
    breaker_snapshot,
    breakers_ensure,
    breakers_install,
    rule_request_clean,
    rule_snapshot,
)
from trading.services.breakers.samples import (
    account_measure,
    breaker_windows_prune,
    commit_measure,
    sample_note,
    venue_call_observed,
)

__all__ = [
    "KINDS",
    "VENUE_BAN",
    "VENUE_ERROR_RATE",
    "VENUE_RATE_LIMIT",
    "account_measure",
    "apply_reset",
    "apply_rule",
    "breaker_force_open",
    "breaker_members",
    "breaker_reset_request",
    "breaker_rows",
    "breaker_rule_change",
    "breaker_snapshot",
    "breaker_trip",
    "breaker_windows_prune",
    "breakers_ensure",
    "breakers_evaluate",
    "breakers_install",
    "commit_measure",
    "rule_request_clean",
    "rule_snapshot",
    "sample_note",
    "venue_call_observed",
]
