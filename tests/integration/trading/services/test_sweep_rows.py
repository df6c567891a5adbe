"""Periods of sweeps: shorter at once, longer by two people. Runs: forgotten when nothing hangs on them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.urls import reverse

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve
from trading.domain.sweeps import Sweep
from trading.models import ReconcileRun, SweepPeriod
from trading.services.reconcile import reconcile_runs_prune, sweep_period_change
from trading.services.reconcile.periods import sweep_periods

if TYPE_CHECKING:
    from nautilus_site.common.models import User
    from tests.factories.trading import Desk


def test_the_admin_shortens_a_period_at_once_and_asks_for_a_longer_one(
    risk_officer: User, trader: User
) -> None:
    SweepPeriod.objects.update_or_create(sweep="S3", defaults={"every_s": 30})
    client = Client()
    client.force_login(risk_officer)
    page = reverse("admin:trading_sweepperiod_change", args=["S3"])
    assert client.get(reverse("admin:trading_sweepperiod_changelist")).content.count(b"S3") > 0
    client.post(page, {"every_s": "20", "reason": "a new venue"})
    assert sweep_periods()[Sweep.TRADES] == 20
    entry = AuditEntry.objects.get(action="reconcile.period_changed")
    assert (entry.actor, entry.before, entry.after) == (
        risk_officer,
        {"every_s": 30.0},
        {"every_s": 20.0},
    )
    client.post(page, {"every_s": "45", "reason": "it is calm"})
    assert SweepPeriod.objects.get(sweep="S3").every_s == 20
    request = ChangeRequest.objects.get()
    assert (request.kind, request.diff) == ("reconcile.period", {"every_s": [20.0, 45.0]})
    with pytest.raises(ApplicationError):
        change_request_approve(request_id=request.pk, approver=risk_officer)
    asked = sweep_period_change(sweep="S3", every_s=50, actor=trader, reason="calmer still")
    assert isinstance(asked, ChangeRequest)
    change_request_approve(request_id=asked.pk, approver=risk_officer)
    assert sweep_periods()[Sweep.TRADES] == 50
    with pytest.raises(ApplicationError) as void:
        change_request_approve(request_id=request.pk, approver=trader)
    assert void.value.code == "ROLE_REQUIRED"


@pytest.mark.parametrize(
    ("sweep", "every_s"), [("S3", 61), ("S3", 1), ("S3", float("nan")), ("S1", 5), ("S0", 5), ("S4", 1e9)]
)
def test_a_period_out_of_bounds_is_refused(risk_officer: User, sweep: str, every_s: float) -> None:
    with pytest.raises(ApplicationError) as refused:
        sweep_period_change(sweep=sweep, every_s=every_s, actor=risk_officer, reason="try")
    assert refused.value.code == "INVALID_PERIOD"


def made(desk: Desk, sweep: str, outcome: str, days: float, **report: object) -> int:
    at = now() - timedelta(days=days)
    finished = None if outcome == "" else at
    return ReconcileRun.objects.create(
        account=desk.account,
        sweep=sweep,
        trigger="periodic",
        started_at=at,
        finished_at=finished,
        outcome=outcome,
        report=report,
    ).pk


def test_runs_are_forgotten_by_age_and_outcome_but_never_what_was_found(desk: Desk) -> None:
    seen = [{"kind": "BALANCE_MISMATCH", "subject": "BTC", "ours": "0", "theirs": "1"}]
    kept = [
        made(desk, "S3", "divergent", 400, divergences=seen),
        made(desk, "S3", "failed", 400, divergences=seen),
        made(desk, "S3", "", 400),
        made(desk, "S4", "clean", 400, divergences=[]),
        made(desk, "S3", "failed", 8),
        made(desk, "S3", "repaired", 80, divergences=[]),
    ]
    gone = [
        made(desk, "S3", "clean", 8, divergences=[]),
        made(desk, "S3", "failed", 31),
        made(desk, "S3", "repaired", 91, divergences=[]),
    ]
    kept.append(made(desk, "S3", "clean", 8, divergences=[]))
    assert reconcile_runs_prune() == len(gone)
    assert sorted(ReconcileRun.objects.values_list("pk", flat=True)) == sorted(kept)
    assert reconcile_runs_prune() == 0
