"""Celery tasks of governance. Each finds its work in Postgres, and each may run twice or late."""

from __future__ import annotations

from celery import shared_task

from governance.services.audit_watch import audit_watch
from governance.services.capital import capital_run_if_due, runs_prune
from governance.services.capital_watch import capital_watch
from governance.services.notifications import (
    deliveries_collect,
    deliveries_prune,
    deliveries_start,
    events_consume,
)
from governance.services.playbooks import (
    actions_verify,
    compliance_if_due,
    game_days_step,
    incidents_consume,
    playbooks_ensure,
    playbooks_evaluate,
    rehearsals_step,
    undos_settle,
)
from governance.services.processes.incidents import processes_calm, relay_watch
from governance.services.routing import routing_run
from governance.services.rules import rules_run
from governance.services.schedules import schedule_runs_prune
from governance.services.schedules.lateness import schedules_watch
from governance.services.unpriced import unpriced_watch
from nautilus_site.common.services.audit_verifications import verification_if_due, verification_step
from nautilus_site.common.services.token_expiries import tokens_expiring_tell
from nautilus_site.common.steps import steps_alone
from trading.services.key_rotations import keys_due_tell


@shared_task
def capital_tick() -> None:
    """Every ten seconds: run the allocator when its policy says it is time, and call people when it cannot decide."""
    steps_alone(capital_run_if_due, capital_watch)


@shared_task
def routing_tick() -> None:
    """Every ten seconds: bring the weights to what the set and the regimes say now."""
    routing_run()


@shared_task
def notifications_tick() -> None:
    """Every two seconds: read events, write down how messages went, send the next. Waits for no receiver."""
    try:
        relay_watch()
        events_consume()
    finally:
        # What is queued goes out, whatever keeps more from being queued.
        deliveries_collect()
        deliveries_start()


@shared_task
def guardian_tick() -> None:
    """Every five seconds: judge every playbook, look whether what was done works, go on with a rehearsal.

    On the queue of kills and breakers: what stops trading never waits behind a long job. Judging comes first, and none
    of these waits for another that fails.
    """
    steps_alone(
        playbooks_ensure,
        playbooks_evaluate,
        actions_verify,
        undos_settle,
        incidents_consume,
        rehearsals_step,
        game_days_step,
        unpriced_watch,
        schedules_watch,
        processes_calm,
    )


@shared_task
def compliance_tick() -> None:
    """Every five minutes: the report of the day that is over, once."""
    compliance_if_due()


@shared_task
def rules_tick() -> None:
    """Every five seconds: judge the rules over what has happened since."""
    rules_run()


@shared_task
def audit_verification_step(verification_id: int) -> None:
    """Go on verifying the audit trail for a while; sends itself out again until there is a verdict."""
    row = verification_step(verification_id=verification_id)
    if row is not None and row.state != row.State.RUNNING:
        audit_watch()


@shared_task
def housekeeping() -> None:
    """Hourly: forget what nobody looks at any more, tell of keys and tokens by age; once a day verify the trail."""
    steps_alone(
        verification_if_due,
        audit_watch,
        runs_prune,
        schedule_runs_prune,
        deliveries_prune,
        tokens_expiring_tell,
        keys_due_tell,
    )
