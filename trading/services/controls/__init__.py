"""What people and playbooks do to trading: stop it, resume it, tighten and loosen it."""

from trading.services.controls.allowances import symbol_allow_request, symbol_disallow
from trading.services.controls.enforcement import enforcement_step, enforcements_due
from trading.services.controls.kill_report import KillReport, kill_report, kill_wait
from trading.services.controls.limit_kinds import LIMITS
from trading.services.controls.limits import limit_change
from trading.services.controls.limits_in_force import limit_values
from trading.services.controls.limits_installing import limits_complete, limits_install
from trading.services.controls.raising import check_may_raise
from trading.services.controls.resume import resume_request
from trading.services.controls.resume_guards import register_resume_guard, resume_guards
from trading.services.controls.states import (
    auto_level_set,
    effective_level,
    kill_enforce_again,
    kill_raise,
    latched_level,
    states_install,
)
from trading.services.scopes import parse_scope

__all__ = [
    "LIMITS",
    "KillReport",
    "auto_level_set",
    "check_may_raise",
    "effective_level",
    "enforcement_step",
    "enforcements_due",
    "kill_enforce_again",
    "kill_raise",
    "kill_report",
    "kill_wait",
    "latched_level",
    "limit_change",
    "limit_values",
    "limits_complete",
    "limits_install",
    "parse_scope",
    "register_resume_guard",
    "resume_guards",
    "resume_request",
    "states_install",
    "symbol_allow_request",
    "symbol_disallow",
]
