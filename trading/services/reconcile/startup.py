"""S0: what must be right before the first order, beside the books: filters, the account's mode, the key's rights.

Whatever asks first after a start (a gap, a person, a row nobody finished) gets S0: no run can come before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import structlog
from django.db.models import Max

from trading.domain.ports import FuturesVenue
from trading.domain.reconcile import DivergenceKind
from trading.domain.values import Level
from trading.models import Account, SweepState, TradingState
from trading.services.controls.states import kill_raise
from trading.services.divergences import divergence_open
from trading.services.key_checks import key_verdict
from trading.services.key_owners import identity_note, key_owner
from trading.services.margin_state import margin_terms_note
from trading.services.reconcile.context import Run

log = structlog.get_logger(__name__)


DOWN_FOR = timedelta(seconds=60)
"""After this long without any sweep the platform was down or asleep, and starts from the beginning."""


def startup_due(account: Account, moment: datetime) -> bool:
    """Whether nobody has looked at the account since the platform started, or since it slept."""
    if account.opened_at is None or account.reconciled_at is None:
        return True
    begun = SweepState.objects.filter(account=account).aggregate(last=Max("started_at"))["last"]
    return begun is not None and moment - begun > DOWN_FOR


def sweep_startup(run: Run) -> None:
    """Read filters, mode and permissions; what is wrong keeps the account from trading until it is right."""
    if run.market is not None:
        from universe.services import instruments_sync  # the venue's libraries, which few processes need

        instruments_sync(run.account.venue, run.market())
        run.report.filters_synced = True
    check_mode(run)
    check_key(run)


def check_mode(run: Run) -> None:
    """USD-M: the position mode is ours, and one asset is the margin."""
    if not run.is_usdm:
        return
    run.report.checked.add(DivergenceKind.ACCOUNT_MODE)
    mode = cast("FuturesVenue", run.venue).mode()
    margin_terms_note(run.account, mode)
    ours = {"hedge": run.account.hedge_mode, "multi_assets": False}
    theirs = {"hedge": mode.hedge, "multi_assets": mode.multi_assets}
    if ours != theirs:
        divergence_open(
            run.account,
            run.report,
            DivergenceKind.ACCOUNT_MODE,
            "mode",
            ours,
            theirs,
            evidence={"account": "the venue's own settings"},
        )


def check_key(run: Run) -> None:
    """The key is of this account, may trade its market and can move no money.

    A key that gained withdrawal stops its account.
    """
    run.report.checked.add(DivergenceKind.KEY_PERMISSIONS)
    flags, faults = key_verdict(run.venue, market=run.account.market)
    identity, strange = key_owner(run.account, run.venue)
    faults += strange if identity else []  # an account without a balance may tell none, and cannot trade
    if not faults:
        identity_note(run.account, identity)
    if not faults:
        return
    divergence_open(
        run.account,
        run.report,
        DivergenceKind.KEY_PERMISSIONS,
        "executor key",
        None,
        faults,
        evidence={"flags": dict(flags)},
    )
    if any(name in fault for fault in faults for name in ("Withdraw", "Transfer", "withdraw")):
        _stop(run, "; ".join(faults))


def _stop(run: Run, why: str) -> None:
    scope = f"account:{run.account.name}"
    state = TradingState.objects.filter(scope=scope).first()
    if state is None or state.level < Level.CANCEL:
        kill_raise(
            scope=scope,
            level=Level.CANCEL,
            reason=f"the executor's key can move money: {why}"[:500],
            actor="reconciliation",
        )
