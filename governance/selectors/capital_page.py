"""The state of the capital page: what is in force, why, and how it came to be."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from governance.domain.allocation.wording import wording
from governance.models import AllocationRun, CapitalState, PolicyActivation
from governance.selectors.capital import (
    allocation_members,
    allocation_queryset,
    flow_members,
    run_members,
    run_queryset,
)
from governance.selectors.leaderboard import leaderboard_members
from governance.selectors.policies import version_in_force
from governance.selectors.routing import routing_members, routing_queryset, weights_members
from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest
from trading.selectors.notation import utc_text

_RUNS, _CHANGES = 50, 100
_TONES = {
    AllocationRun.Outcome.APPLIED: "good",
    AllocationRun.Outcome.HELD: "off",
    AllocationRun.Outcome.PROPOSED: "warn",
    AllocationRun.Outcome.REFUSED: "bad",
}


def capital_state() -> dict[str, Any]:
    """The newest run strategy by strategy, runs, changes of amounts, versions of the policy."""
    run = run_queryset().first()
    decided = run_queryset().exclude(outcome=AllocationRun.Outcome.REFUSED).first()
    state = CapitalState.objects.filter(pk=1).first()
    version = version_in_force("capital_policy")
    waiting = (
        ChangeRequest.objects.filter(
            kind__in=("capital.allocate", "capital.endorse"),
            state=ChangeRequest.State.PENDING,
            expires_at__gt=now(),
        )
        .order_by("-created_at")
        .first()
    )
    changes = allocation_queryset().exclude(rule__in=("not_enabled", "canary")).exclude(amount=F("before"))
    return {
        **shell_state(),
        "summary": {
            "run": run_members(run) if run else None,
            "stopped": state.stopped if state else False,
            "policy_version": version.number if version else None,
            "document": version.document if version else None,
            "request_waits": None
            if waiting is None
            else {"id": str(waiting.pk), "kind": waiting.kind, "expires_at": utc_text(waiting.expires_at)},
        },
        "flow": _flow(decided),
        "leaderboard": [{**row, "id": row["strategy"]} for row in leaderboard_members()],
        "what_if": [],  # asked for by the sliders, one question at a time
        "allocations": []
        if decided is None
        else [_allocation(row) for row in allocation_queryset().filter(run=decided).order_by("strategy")],
        "runs": [_run(row) for row in run_queryset()[:_RUNS]],
        "changes": [_allocation(row) for row in changes[:_CHANGES]],
        "weights": [
            {**row, "id": f"{row['strategy']} {row['account']} {row['symbol']}"}
            for row in weights_members()["in_force"]
        ],
        "routing": [routing_members(row) for row in routing_queryset()[:_CHANGES]],
        "activations": [
            {
                "id": row.pk,
                "at": utc_text(row.at),
                "policy": row.policy_id,
                "version": row.version.number,
                "by": row.by,
                "reason": row.reason,
            }
            for row in PolicyActivation.objects.select_related("version")[:_RUNS]
        ],
    }


def _flow(run: AllocationRun | None) -> dict[str, Any] | None:
    if run is None or run.equity is None or run.reserve is None or run.pool is None:
        return None
    return flow_members(
        run.equity, run.reserve, run.pool, dict(run.allocations.values_list("strategy", "amount"))
    )


def _allocation(row: Any) -> dict[str, Any]:
    members = allocation_members(row)
    before, amount = row.before, row.amount
    tone = "good" if amount > before else "warn" if amount < before else "off"
    if row.proposed is not None:
        tone = "warn"
    why = wording(row.rule)
    return {**members, "lamp": {"tone": tone, "text": why.words, "title": why.where}}


def _run(row: AllocationRun) -> dict[str, Any]:
    members = run_members(row)
    return {
        **members,
        "lamp": {"tone": _TONES[AllocationRun.Outcome(row.outcome)], "text": row.outcome},
    }
