"""Asking for what a run would have granted beyond the envelope, and what people see of it before they decide."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from governance.models import Allocation, AllocationRun, CapitalState, Policy
from governance.selectors.capital import grants_now, more_capital
from governance.selectors.policies import version_in_force
from governance.services.policy_kinds import CAPITAL
from nautilus_site.common.errors import Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.change_requests import change_request_create
from trading.domain.values import decimal_text
from trading.models import Strategy, StrategyInstance
from trading.services.strategies import capital_rows, strategies_bar


def allocation_request(
    *, run_id: int, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for what a run would have granted beyond the envelope. The newest run only.

    Raises
    ------
    NotFound : UNKNOWN_RUN. Conflict : NOTHING_PROPOSED, RUN_OUTDATED.
    """
    run = AllocationRun.objects.filter(pk=run_id).first()
    if run is None:
        raise NotFound("UNKNOWN_RUN", f"there is no run {run_id}")
    if AllocationRun.objects.filter(pk__gt=run_id).exclude(outcome=AllocationRun.Outcome.HELD).exists():
        raise Conflict("RUN_OUTDATED", "a later run decided otherwise; ask for that one")
    proposed = list(run.allocations.filter(proposed__isnull=False))
    if not proposed:
        raise Conflict("NOTHING_PROPOSED", "this run holds nothing back for two people")
    target = f"capital:run:{run_id}"
    # What they have now, not what the run left them: others give and take in between.
    seen = allocation_snapshot(target)
    return change_request_create(
        kind="capital.allocate",
        target=target,
        payload={
            "run": run_id,
            "amounts": {row.strategy: decimal_text(row.proposed or Decimal(0)) for row in proposed},
        },
        diff={
            row.strategy: [seen["grants"].get(row.strategy), decimal_text(row.proposed or Decimal(0))]
            for row in proposed
        },
        seen=seen,
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def allocation_snapshot(target: str) -> dict[str, Any]:
    """What the run's strategies have now: the request is void once any of it, or the policy, changed."""
    run_id = int(target.rpartition(":")[2])
    names = list(
        Allocation.objects.filter(run_id=run_id, proposed__isnull=False).values_list("strategy", flat=True)
    )
    version = version_in_force(CAPITAL)
    return {
        "grants": {name: decimal_text(total) for name, total in sorted(grants_now(names).items())},
        "policy": version.number if version else 0,
    }


def allocation_rows(target: str) -> Rows:
    """The policy, the state a run holds, and the amounts; the strategies before them, as wherever capital moves."""
    run_id = int(target.rpartition(":")[2])
    names = Allocation.objects.filter(run_id=run_id, proposed__isnull=False).values("strategy")
    return [
        Policy.objects.filter(pk=CAPITAL),
        CapitalState.objects.filter(pk=1),
        capital_rows(Strategy.objects.filter(name__in=names)),
        StrategyInstance.objects.filter(strategy__name__in=names),
    ]


def allocation_bars(target: str, person: User) -> str:
    """Whoever owns a strategy that the run proposes more for does not decide about it."""
    run_id = int(target.rpartition(":")[2])
    rows = Allocation.objects.filter(run_id=run_id, proposed__isnull=False)
    return strategies_bar(rows.values_list("strategy", flat=True), person)


def allocation_effect(target: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    run = AllocationRun.objects.get(pk=payload["run"])
    reasons = {row.strategy: row.reason for row in run.allocations.filter(strategy__in=payload["amounts"])}
    wanted = {name: Decimal(text) for name, text in payload["amounts"].items()}
    return {**more_capital(wanted), "explanation": run.explanation, "reasons": reasons}
