"""Asking a worker to reconcile an account: a row that is done even if its message is lost."""

from __future__ import annotations

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.sweeps import Sweep
from trading.models import Account, ReconcileRun

SWEEP_OF = {
    "start": Sweep.STARTUP,
    "gap": Sweep.TRADES,
    "periodic": Sweep.TRADES,
    "manual": Sweep.DEEP,
    "nightly": Sweep.NIGHTLY,
}
"""What a trigger asks for where nothing else is said. A person who asks gets everything compared."""


@transaction.atomic
def reconcile_request(
    *, account: Account, actor: User | str, trigger: str = "manual", sweep: Sweep | None = None
) -> ReconcileRun:
    """Ask a worker to reconcile an account now."""
    chosen = sweep or SWEEP_OF[trigger]
    run = ReconcileRun.objects.create(account=account, trigger=trigger, sweep=chosen, started_at=now())
    audit_record(action="reconcile.requested", target=account.name, actor=actor, after={"sweep": chosen})
    enqueue_on_commit(
        "trading.tasks.account_reconcile",
        queue="control",
        account_id=account.pk,
        trigger=trigger,
        run_id=run.pk,
    )
    return run
