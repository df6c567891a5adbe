"""What the machine does by itself: it watches, lowers risk, checks that it worked, and calls people."""

from governance.services.playbooks.after_actions import after_action_write
from governance.services.playbooks.changing import (
    apply_change,
    change_clean,
    change_rows,
    change_snapshot,
    playbook_change,
)
from governance.services.playbooks.compliance import compliance_generate, compliance_if_due
from governance.services.playbooks.effects import change_effect
from governance.services.playbooks.evaluating import playbook_run, playbooks_evaluate
from governance.services.playbooks.game_days import game_day_cancel, game_day_start, game_days_step
from governance.services.playbooks.incidents import (
    incident_close,
    incident_open,
    incident_review,
    incidents_consume,
)
from governance.services.playbooks.installing import playbooks_ensure, playbooks_install
from governance.services.playbooks.rehearsing import rehearsal_start, rehearsals_step
from governance.services.playbooks.undoing import incident_undo, undos_settle
from governance.services.playbooks.verifying import actions_verify

__all__ = [
    "actions_verify",
    "after_action_write",
    "apply_change",
    "change_clean",
    "change_effect",
    "change_rows",
    "change_snapshot",
    "compliance_generate",
    "compliance_if_due",
    "game_day_cancel",
    "game_day_start",
    "game_days_step",
    "incident_close",
    "incident_open",
    "incident_review",
    "incident_undo",
    "incidents_consume",
    "playbook_change",
    "playbook_run",
    "playbooks_ensure",
    "playbooks_evaluate",
    "playbooks_install",
    "rehearsal_start",
    "rehearsals_step",
    "undos_settle",
]
