"""What people and playbooks do to trading: stop it, resume it, tighten and loosen it."""

from trading.services.controls.allowances import symbol_allow_request, symbol_disallow
from trading.services.controls.enforcement import enforcement_step, enforcements_due
from trading.services.controls.limits import LIMITS, limit_change, limit_values, limits_install
from trading.services.controls.states import (
    KillReport,
    effective_level,
    kill_raise,
    kill_wait,
    resume_request,
    states_install,
)
from trading.services.scopes import parse_scope

__all__ = [
    "LIMITS",
    "KillReport",
    "effective_level",
    "enforcement_step",
    "enforcements_due",
    "kill_raise",
    "kill_wait",
    "limit_change",
    "limit_values",
    "limits_install",
    "parse_scope",
    "resume_request",
    "states_install",
    "symbol_allow_request",
    "symbol_disallow",
]
