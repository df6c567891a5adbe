"""The allocator: decides by the policy in force, applies through trading, keeps every reason."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from governance.domain.allocation import AllocationError, ThrottleState
from governance.domain.allocation.decision import (
    NOT_RENEWED,
    CapitalDecision,
    Choice,
    Evidence,
    Standing,
    decide,
    units,
)
from governance.domain.allocation.throttle import Lifted
from governance.domain.allocation.wording import wording
from governance.domain.policies.capital import CapitalPolicy, capital_policy, named_with_more
from governance.domain.schedules import CLOCK_AHEAD_S
from governance.models import Allocation, AllocationRun, CapitalState, PolicyVersion
from governance.selectors.capital import EquityNow, equity_now, standings_now
from governance.selectors.policies import version_in_force
from governance.services.capital_asking import raises_ask
from governance.services.policies import policy_values, values_understood
from governance.services.policy_kinds import CAPITAL, Activated, Values
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.outbox import publish
from trading.domain.values import decimal_text, from_units
from trading.selectors.strategy_results import strategy_returns
from trading.services.strategies import Amount, allocations_apply, allocations_shorten, ceilings_lift

log = structlog.get_logger(__name__)
ACTOR = "allocator"
KEEP_HELD = timedelta(days=7)
FIRST_MEASURE_S = 90.0
AGAIN_S = 30
"""After a run that was refused the next comes so soon: what it needed is often known a moment later."""
_STARTED = time.monotonic()


def capital_run_if_due() -> AllocationRun | None:
    """Run when the policy's time since the last run is over; at a start, as soon as the equity was measured.

    Accounts have a worth once all they hold has a price. For a minute and a half a platform that has just
    started waits for that in place of writing down that it knows nothing; after that it says so.
    """
    version = version_in_force(CAPITAL)
    if version is None:
        return None
    last = AllocationRun.objects.order_by("-id").first()
    if last is not None and not _is_over(version, last):
        return None
    if time.monotonic() - _STARTED < FIRST_MEASURE_S and isinstance(equity_now(now()), str):
        return None
    return capital_run(trigger="schedule")


def _is_over(version: PolicyVersion, last: AllocationRun) -> bool:
    values = values_understood(version)
    wait_s = values["refresh_sec"] if values is not None else AGAIN_S
    if last.outcome == AllocationRun.Outcome.REFUSED:
        wait_s = min(wait_s, AGAIN_S)
    waited_s = (now() - last.at).total_seconds()
    # A run further ahead was noted before the clock was put back: for how long ago that was nobody knows.
    return waited_s >= wait_s or waited_s < -CLOCK_AHEAD_S


@transaction.atomic
def capital_run(*, trigger: str) -> AllocationRun | None:
    """Decide about all capital and apply it. None while no policy is in force or another run is on its way.

    What it needs and cannot know leaves every amount as it is and renews none: past their expiry strategies only
    reduce.
    """
    version = version_in_force(CAPITAL)
    if version is None:
        return None
    state = state_locked(wait=False)
    if state is None:
        return None
    moment = now()
    try:
        policy = capital_policy(policy_values(version))
    except ApplicationError as error:
        return _refused(version, trigger, moment, f"{version} is not understood: {error.message}")
    until = moment + timedelta(seconds=policy.expires_sec)
    allocations_shorten(strategies=policy.enabled, until=until)
    known = _decided(policy, state, moment)
    if isinstance(known, str):
        return _refused(version, trigger, moment, known)
    decision, evidence = known
    governed = [choice for choice in decision.choices if choice.rule not in NOT_RENEWED]
    try:
        in_force = _applied(governed, until, version)
    except ApplicationError as error:
        return _refused(version, trigger, moment, error.message)
    state.multiplier, state.stopped = decision.throttle.multiplier, decision.throttle.stopped
    since = evidence.since_lifted
    if decision.throttle.stopped or (since is not None and evidence.drawdown <= 0):
        since = None  # another stop, or everything is won back
    state.lifted_at, state.peak_since = (
        (since.at, from_units(since.peak - since.moved)) if since else (None, None)
    )
    state.updated_at = moment
    state.save(update_fields=["multiplier", "stopped", "lifted_at", "peak_since", "updated_at"])
    run = _recorded(version, trigger, moment, until, decision, evidence, in_force)
    raises_ask(run)
    return run


def _applied(
    governed: list[Choice], until: datetime, version: PolicyVersion, *, by_people: bool = False
) -> dict[str, Decimal]:
    return allocations_apply(
        amounts={c.strategy: Amount(from_units(c.before), from_units(c.amount)) for c in governed},
        until=until,
        actor=f"{ACTOR} by {version}",
        reasons={c.strategy: c.reason for c in governed},
        by_people=by_people,
    )


def _decided(
    policy: CapitalPolicy, state: CapitalState | None, moment: datetime, lifted: frozenset[str] = frozenset()
) -> tuple[CapitalDecision, Evidence] | str:
    """The decision as of now with what it was made from, or why there is none.

    `lifted` are strategies as if two people had lifted what was lowered by hand.
    """
    equity = equity_now(moment)
    if isinstance(equity, str):
        return equity
    standings = [
        replace(standing, ceiling=None) if standing.strategy in lifted else standing
        for standing in standings_now(moment)
    ]
    names, returns, made = _returns(policy, standings)
    evidence = Evidence(
        units(equity.equity),
        equity.drawdown,
        names,
        returns,
        moment,
        made,
        _since_lifted(state, equity, moment),
    )
    throttle = ThrottleState(state.multiplier, state.stopped) if state else ThrottleState()
    try:
        return decide(policy, standings, evidence, throttle), evidence
    except AllocationError as error:
        return str(error)


def _since_lifted(state: CapitalState | None, known: EquityNow, moment: datetime) -> Lifted | None:
    """What has become of the equity since two people lifted a stop; what came in or went out is no result."""
    if state is None or state.lifted_at is None or state.peak_since is None:
        return None
    peak = max(state.peak_since + known.moved, known.equity)
    drawdown = max(0.0, float(1 - known.equity / peak)) if peak > 0 else 1.0
    days = max(0, (moment - state.lifted_at).days)
    return Lifted(state.lifted_at, units(peak), drawdown, days, units(known.moved))


def _returns(policy: CapitalPolicy, standings: list[Standing]) -> tuple[tuple[str, ...], Any, Any]:
    """Returns of the strategies the policy decides about, as far back as any has some, and which were made at all."""
    names = [s.strategy for s in standings if s.strategy in policy.enabled and s.switched_on and s.has_places]
    found = strategy_returns(
        names, period=timedelta(seconds=policy.period_sec), periods=policy.lookback_periods
    )
    shape = (len(found.rows), len(names))
    rows = np.array([[value or 0.0 for value in row] for row in found.rows], dtype=np.float64).reshape(shape)
    made = np.array([[value is not None for value in row] for row in found.rows], dtype=np.bool_).reshape(
        shape
    )
    return found.names, rows, made


def _refused(version: PolicyVersion, trigger: str, moment: datetime, why: str) -> AllocationRun:
    log.warning("allocator_refused", reason=why)
    return AllocationRun.objects.create(
        at=moment,
        trigger=trigger,
        version=version,
        outcome=AllocationRun.Outcome.REFUSED,
        explanation=f"Nothing was changed or renewed: {why}.",
    )


def _recorded(
    version: PolicyVersion,
    trigger: str,
    moment: datetime,
    until: datetime,
    decision: CapitalDecision,
    evidence: Evidence,
    in_force: Mapping[str, Decimal],
) -> AllocationRun:
    amounts = {c.strategy: in_force.get(c.strategy, from_units(c.amount)) for c in decision.choices}
    changed = any(amounts[c.strategy] != from_units(c.before) for c in decision.choices)
    outcome = AllocationRun.Outcome.APPLIED if changed else AllocationRun.Outcome.HELD
    if any(choice.proposed is not None for choice in decision.choices):
        outcome = AllocationRun.Outcome.PROPOSED
    run = AllocationRun.objects.create(
        at=moment,
        trigger=trigger,
        version=version,
        outcome=outcome,
        method=decision.method,
        equity=from_units(evidence.equity),
        reserve=from_units(decision.reserve),
        pool=from_units(decision.pool),
        drawdown=evidence.drawdown,
        multiplier=decision.throttle.multiplier,
        total=sum(amounts.values(), Decimal(0)),
        in_force_until=until,
        explanation=decision.explanation,
    )
    Allocation.objects.bulk_create(
        Allocation(
            run=run,
            strategy=choice.strategy,
            weight=choice.weight,
            before=from_units(choice.before),
            desired=from_units(choice.desired),
            amount=amounts[choice.strategy],
            proposed=None if choice.proposed is None else from_units(choice.proposed),
            rule=choice.rule,
            reason=choice.reason,
        )
        for choice in decision.choices
    )
    if changed:
        publish("trading_state", {"allocation_run": run.pk, "outcome": outcome.value})
    return run


def state_locked(*, wait: bool = True) -> CapitalState | None:
    CapitalState.objects.get_or_create(pk=1, defaults={"updated_at": now()})
    return CapitalState.objects.select_for_update(skip_locked=not wait, no_key=True).filter(pk=1).first()


def decided_now(
    values: Values, state: CapitalState | None, moment: datetime
) -> tuple[CapitalDecision, Evidence] | str:
    """What a policy would decide now and from what, changing nothing; or why nothing can be decided."""
    policy, version = capital_policy(values), version_in_force(CAPITAL)
    return _decided(policy, state, moment, _named(values_understood(version) if version else None, policy))


def _named(before: Values | None, policy: CapitalPolicy) -> frozenset[str]:
    return frozenset(policy.enabled if before is None else named_with_more(capital_policy(before), policy))


def capital_activated(event: Activated) -> None:
    """Two people who approve a policy lift what was lowered by hand of the strategies it names with more."""
    if event.asked_at is not None:
        ceilings_lift(
            strategies=_named(event.before, capital_policy(event.after)),
            asked_at=event.asked_at,
            actor=event.by,
            reason=event.reason,
        )


def policy_would_do(values: Values) -> dict[str, Any]:
    """What a policy would decide now, strategy by strategy, changing nothing."""
    known = decided_now(values, CapitalState.objects.filter(pk=1).first(), now())
    if isinstance(known, str):
        return {"now": f"nothing: {known}", "in_words": f"Nothing would be decided now: {known}."}
    decision, _ = known
    moves = [
        f"{c.strategy} {from_units(c.before):,.2f} → {from_units(c.amount):,.2f} ({wording(c.rule).words})"
        for c in decision.choices
        if c.amount != c.before
    ]
    pool = f"The pool would be {from_units(decision.pool):,.2f} USDT now; "
    return {
        "in_words": pool
        + (f"what changes: {', '.join(moves)}." if moves else "no strategy's amount would change."),
        "pool": decimal_text(from_units(decision.pool)),
        "amounts": {
            c.strategy: [decimal_text(from_units(c.before)), decimal_text(from_units(c.amount)), c.rule]
            for c in decision.choices
        },
    }


def apply_allocation(request: ChangeRequest, approver: User) -> None:
    """Grant exactly what was approved; runs inside the approving transaction.

    Raises
    ------
    Conflict : ABOVE_POOL, the pool has become too small for it, or is not known.
    """
    version, state, moment = version_in_force(CAPITAL), state_locked(), now()
    assert version is not None  # its number is part of the snapshot
    assert state is not None
    policy = capital_policy(policy_values(version))
    known = _decided(policy, state, moment)
    if isinstance(known, str):
        raise Conflict("ABOVE_POOL", f"the pool is not known: {known}")
    decision, evidence = known
    amounts = {name: Decimal(text) for name, text in request.payload["amounts"].items()}
    _check_pool(decision, amounts)
    reason = f"granted by {request.requester} and {approver}: {request.reason}"
    until = moment + timedelta(seconds=policy.expires_sec)
    granted = [
        Choice(c.strategy, c.weight, c.before, c.desired, units(amounts[c.strategy]), None, "granted", reason)
        for c in decision.choices
        if c.strategy in amounts
    ]
    in_force = _applied(granted, until, version, by_people=True)
    whole = CapitalDecision(
        tuple(granted),
        decision.pool,
        decision.reserve,
        decision.throttle,
        decision.method,
        decision.explanation,
    )
    _recorded(version, f"request {request.pk}", moment, until, whole, evidence, in_force)


def pool_check(amounts: Mapping[str, Decimal]) -> None:
    """Refuse amounts by which all strategies together would have more than the pool of the policy in force.

    Raises
    ------
    Conflict : ABOVE_POOL, also while the pool is not known or no policy is in force.
    """
    version = version_in_force(CAPITAL)
    if version is None:
        raise Conflict("ABOVE_POOL", "no capital policy is in force: there is no pool")
    known = _decided(capital_policy(policy_values(version)), CapitalState.objects.filter(pk=1).first(), now())
    if isinstance(known, str):
        raise Conflict("ABOVE_POOL", f"the pool is not known: {known}")
    _check_pool(known[0], amounts)


def _check_pool(decision: CapitalDecision, amounts: Mapping[str, Decimal]) -> None:
    total = sum(units(amounts[c.strategy]) if c.strategy in amounts else c.before for c in decision.choices)
    if total > decision.pool:
        raise Conflict(
            "ABOVE_POOL",
            f"all together would have {from_units(total):,.2f} of a pool of {from_units(decision.pool):,.2f}",
        )


def runs_prune() -> int:
    """Forget runs older than a week in which no amount changed. Returns how many."""
    changed = Allocation.objects.filter(run=OuterRef("pk")).exclude(amount=F("before"))
    old = AllocationRun.objects.filter(~Exists(changed), at__lt=now() - KEEP_HELD)
    return old.delete()[1].get("governance.AllocationRun", 0)
