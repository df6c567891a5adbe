"""One decision about all capital: who gets what, and the reason that bound, in words and numbers.

Money is integers of 1e-8 quote currency. Limits come last and only lower, so the sum of all amounts is never above
the pool unless strategies that the policy does not decide about have more than that already; then the others get
nothing. Raising stays inside the envelope; what lies beyond it is said, for two people to grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import numpy as np

from governance.domain.allocation.capital import CapitalLimits, Grant, GroupCap, capital_pool, project
from governance.domain.allocation.methods import Weighting, floored, weigh, yearly_sharpe
from governance.domain.allocation.pacing import Pace, paced
from governance.domain.allocation.throttle import (
    Lifted,
    ThrottleState,
    throttle_lifted,
    throttle_observe,
)
from governance.domain.allocation.weights import AllocationError, BoolArray, FloatArray
from governance.domain.policies.capital import CapitalPolicy
from trading.domain.values import from_units

CENT = 10**6
_UNITS = Decimal(10) ** 8


@dataclass(frozen=True, slots=True)
class Standing:
    """A strategy as it is.

    Attributes
    ----------
    current : granted over all its symbols.  since_change_s : None when it never changed.
    has_places : it has a symbol that could be given capital.
    halted : some level keeps it from new risk.  killed : a person stopped it; it gets nothing.
    ceiling : what a person lowered it to; no rise above that until two people raise it. None where nobody did.
    on_trial_beside : of a canary, the strategy from whose capital it has its own; "" for any other.
    lent : what its own canary has of its capital; caps hold for both together.
    too_fine : its capital is no whole number of units; `current` is the next above.
    until : when the first of its symbols may only reduce; None where all hold until somebody changes them.
    """

    strategy: str
    current: int
    since_change_s: float | None = None
    switched_on: bool = True
    has_places: bool = True
    halted: bool = False
    killed: bool = False
    ceiling: int | None = None
    on_trial_beside: str = ""
    lent: int = 0
    too_fine: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the decision is made from.

    Attributes
    ----------
    equity : of everything.  drawdown : 0 to 1.
    names, returns : strategies and their (T, N) returns, oldest first.
    made : (T, N), whether there was a return: with capital, and known at both ends; None: always.
    since_lifted : since people lifted a stop of the drawdown; None where they never did, or that is over.
    """

    equity: int
    drawdown: float
    names: tuple[str, ...]
    returns: FloatArray
    at: datetime
    made: BoolArray | None = None
    since_lifted: Lifted | None = None

    def of(self, strategy: str) -> FloatArray:
        """The returns of one strategy, oldest first; none where it is not known."""
        if strategy not in self.names:
            return np.zeros(0)
        column = self.names.index(strategy)
        values = self.returns[:, column]
        return np.asarray(values if self.made is None else values[self.made[:, column]])

    def matrix(self, names: Sequence[str]) -> tuple[FloatArray, BoolArray]:
        """Returns of these strategies and whether they were made; one that is not known made none."""
        rows = len(self.returns)
        values, made = np.zeros((rows, len(names))), np.zeros((rows, len(names)), dtype=np.bool_)
        for at, name in enumerate(names):
            if name in self.names:
                column = self.names.index(name)
                values[:, at] = self.returns[:, column]
                made[:, at] = True if self.made is None else self.made[:, column]
        return values, made


@dataclass(frozen=True, slots=True)
class Choice:
    """What one strategy gets. `proposed` is what two people may grant instead, None where that is nothing more."""

    strategy: str
    weight: float | None
    before: int
    desired: int
    amount: int
    proposed: int | None
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class CapitalDecision:
    """All choices by name, and what they rest on."""

    choices: tuple[Choice, ...]
    pool: int
    reserve: int
    throttle: ThrottleState
    method: str
    explanation: str

    @property
    def total(self) -> int:
        return sum(choice.amount for choice in self.choices)


def decide(
    policy: CapitalPolicy, standings: Sequence[Standing], evidence: Evidence, throttle: ThrottleState
) -> CapitalDecision:
    """Decide about every strategy, also those that keep what they have.

    Raises
    ------
    AllocationError : numbers no decision can be made from (negative amounts, a drawdown that is none, returns that
        are not finite).
    """
    broken = [
        name for at, name in enumerate(evidence.names) if not np.isfinite(evidence.returns[:, at]).all()
    ]
    if broken:
        raise AllocationError(f"the returns of {', '.join(broken)} are not all finite numbers")
    limits = {
        "soft": float(policy.drawdown_soft_pct),
        "hard": float(policy.drawdown_hard_pct),
        "recovery": float(policy.drawdown_recovery),
    }
    if evidence.since_lifted is None:
        throttle = throttle_observe(throttle, evidence.drawdown, **limits)
    else:
        throttle = throttle_lifted(throttle, evidence.drawdown, evidence.since_lifted, **limits)
    reserve = units(policy.reserve_equity_usd)
    whole = capital_pool(
        evidence.equity,
        fraction=Fraction(policy.base_equity_frac),
        reserve=reserve,
        minimum=units(policy.min_pool_usd),
    )
    pool = int(whole * Fraction(throttle.multiplier))
    kept = {s.strategy: why for s in standings if (why := _kept(policy, s, evidence.at))}
    governed = [s for s in standings if s.strategy not in kept]
    room = max(0, pool - sum(s.current for s in standings if s.strategy in kept))
    names = [s.strategy for s in governed if not s.killed]
    weighting = weigh(policy, names, *evidence.matrix(names))
    # What is held for want of evidence is not given out a second time.
    waiting = [s for s in governed if not s.killed and s.strategy not in weighting.weights]
    share = max(0, room - sum(s.current for s in waiting))
    most = float(policy.kelly_cap) if weighting.method == "capped_kelly" else None
    weights = floored(weighting.weights, share, units(policy.min_quota_usd), most=most)
    wanted = {
        s.strategy: _wanted(
            policy,
            s,
            weights.get(s.strategy),
            share,
            weighting,
            yearly_sharpe(policy, evidence.of(s.strategy)),
        )
        for s in governed
    }
    grants = project({name: want.paced for name, want in wanted.items()}, _limits(policy, room, governed))
    chosen = {grant.strategy: _granted(grant, wanted[grant.strategy], room) for grant in grants}
    held = sum(s.current for s in standings if s.strategy in kept)
    chosen = _within_envelope(policy, chosen, held, evidence.at)
    for standing in standings:
        if standing.strategy in kept:
            rule, reason = kept[standing.strategy]
            amount = standing.current
            chosen[standing.strategy] = Choice(
                standing.strategy, None, amount, amount, amount, None, rule, reason
            )
    return CapitalDecision(
        tuple(chosen[name] for name in sorted(chosen)),
        pool,
        reserve,
        throttle,
        weighting.method,
        _explained(policy, evidence, whole, pool, throttle, weighting),
    )


def units(amount: Decimal) -> int:
    """Units of 1e-8, rounded down."""
    return int(amount * _UNITS)


def money(amount: int) -> str:
    """An amount for people: cents and a currency."""
    return f"{from_units(amount):,.2f} USDT"


NOT_RENEWED: Final = frozenset({"too_fine", "canary", "not_enabled", "no_symbol"})
"""Rules under which a run leaves alone how long an amount holds."""


def _kept(policy: CapitalPolicy, standing: Standing, at: datetime) -> tuple[str, str] | None:
    if standing.too_fine:
        return (
            "too_fine",
            f"what it has is finer than 1e-8 USDT: lower it to whole cents; {_holds(standing, at)}",
        )
    if standing.on_trial_beside:
        return "canary", f"it is on trial beside {standing.on_trial_beside} and has this of its capital"
    if standing.strategy not in policy.enabled:
        return "not_enabled", f"the policy does not decide about it; {_holds(standing, at)}"
    if not standing.has_places:
        return "no_symbol", "it trades no symbol"
    if not standing.switched_on and not standing.killed:
        return "switched_off", "it is switched off and holds what it has"
    return None


def _holds(standing: Standing, at: datetime) -> str:
    if standing.until is None:
        return "what it has holds until somebody changes it"
    tense = "held" if standing.until <= at else "holds"
    return f"what it has {tense} until {standing.until:%Y-%m-%d %H:%M} UTC, after that it only reduces"


@dataclass(frozen=True, slots=True)
class _Want:
    standing: Standing
    weight: float | None
    desired: int
    paced: int
    rule: str
    reason: str


def _wanted(
    policy: CapitalPolicy,
    standing: Standing,
    weight: float | None,
    pool: int,
    weighting: Weighting,
    sharpe: float | None,
) -> _Want:
    """What the method asks for, and how far the evidence and the pace let it go."""
    current = standing.current
    if standing.killed:
        return _Want(standing, 0.0, 0, current, "killed", "it was stopped by its kill switch")
    if policy.allocation_mode == "manual":
        return _Want(standing, weight, current, current, "manual", "people decide alone")
    if weight is None:
        rule, goal, desired = "hold", current, current
        words = f"too little is known ({weighting.of(standing.strategy)})"
    else:
        # A thousandth of a cent more: half of something is not a cent less for a rounding in the last bit.
        desired = (int(Fraction(weight) * pool) + CENT // 1000) // CENT * CENT
        words = f"{weighting.method} gives it {weight * 100:.2f} % of {money(pool)}, {money(desired)}"
        rule, goal = "method", desired
    floor = min(units(policy.min_quota_usd), current)
    if sharpe is not None and sharpe < policy.sharpe_demote:
        # What loses is not rewarded with more, whatever the method makes of its variance.
        rule, goal = "sharpe_demote", min(desired, floor)
        words += f"; its Sharpe ratio of {sharpe:.2f} is below {policy.sharpe_demote}: down to {money(goal)}"
    elif desired > current and sharpe is not None and sharpe < policy.sharpe_promote:
        rule, goal = "sharpe_promote", current
        words += f"; its Sharpe ratio of {sharpe:.2f} is below {policy.sharpe_promote}: no rise"
    elif sharpe is None and goal > (most := _unproven(policy, current)):
        rule, goal = "unproven", most
        words += f"; too few of its returns are known to judge it: no rise above {money(most)}"
    if goal > current and standing.halted:
        rule, goal = "halted", current
        words += "; trading is restricted: no rise"
    if standing.ceiling is not None and goal > standing.ceiling:
        rule, goal = "lowered_by_hand", standing.ceiling
        words += f"; somebody lowered it to {money(goal)}: no more until two people raise it"
    step = paced(goal, current, _pace(policy), since_change_s=standing.since_change_s)
    if step.reason:
        rule = step.reason
        words += f"; {_PACE_WORDS[step.reason]}: {money(step.amount)}"
    elif goal == current and rule == "method":
        rule = "unchanged"
    return _Want(standing, weight, desired, step.amount, rule, words)


def _unproven(policy: CapitalPolicy, current: int) -> int:
    """What no evidence allows: what it has, enough to begin with, or what the policy says."""
    return max(current, units(policy.min_quota_usd), units(policy.unproven_quota_usd))


_PACE_WORDS = {
    "within_band": "too small a change to be worth orders",
    "step_up": "the largest rise at a time",
    "step_down": "the largest fall at a time",
    "cooldown": "it changed a moment ago",
}


def _pace(policy: CapitalPolicy) -> Pace:
    return Pace(
        band=float(policy.hysteresis_pct),
        step_up=float(policy.step_up_pct),
        step_down=float(policy.step_down_pct),
        smallest_step=units(policy.smallest_step_usd),
        cooldown_s=float(policy.cooldown_sec),
    )


def _limits(policy: CapitalPolicy, pool: int, governed: Sequence[Standing]) -> CapitalLimits:
    lent = {s.strategy: s.lent for s in governed if s.lent}
    caps = {name: units(cap) for name, cap in policy.caps.items()}
    for name, amount in lent.items():
        caps[name] = max(0, caps.get(name, units(policy.max_quota_usd)) - amount)
    return CapitalLimits(
        pool=pool,
        default_cap=units(policy.max_quota_usd),
        caps=caps,
        groups=tuple(
            GroupCap(
                name,
                frozenset(group["members"]),
                max(0, units(group["cap_usd"]) - sum(lent.get(member, 0) for member in group["members"])),
            )
            for name, group in policy.groups.items()
        ),
        minimum=units(policy.min_quota_usd),
        stopped=frozenset(s.strategy for s in governed if s.killed),
    )


def _granted(grant: Grant, want: _Want, pool: int) -> Choice:
    before, amount = want.standing.current, grant.amount
    if amount != before:
        amount = max(amount // CENT * CENT, min(amount, before))
    rule, reason = want.rule, want.reason
    for step in grant.adjustments:
        if step.rule == "stopped":
            continue  # said already
        rule = step.rule.partition(":")[0]
        reason += f"; {_LIMIT_WORDS[rule].format(name=step.rule.partition(':')[2], pool=money(pool))}"
        reason += f": {money(step.after)}"
    return Choice(grant.strategy, want.weight, before, want.desired, amount, None, rule, reason)


_LIMIT_WORDS = {
    "cap": "the most it may have",
    "group": "the most the group {name} may have",
    "pool": "all together may have {pool}",
    "minimum": "too little to trade",
}


def _within_envelope(
    policy: CapitalPolicy, chosen: Mapping[str, Choice], held: int, at: datetime
) -> dict[str, Choice]:
    """Cut rises to what the machine may do alone; in proportion, down to the cent."""
    envelope = policy.envelope
    rises = {name: max(0, choice.amount - choice.before) for name, choice in chosen.items()}
    asked = sum(rises.values())
    base = held + sum(min(choice.amount, choice.before) for choice in chosen.values())
    allowed = min(units(envelope.max_increase_usd), max(0, units(envelope.max_total_usd) - base))
    why = f"the envelope allows a rise of {money(allowed)} in all"
    if envelope.until is not None and at >= envelope.until:
        allowed, why = 0, f"the envelope ended at {envelope.until:%Y-%m-%d %H:%M}"
    if asked <= allowed:
        return dict(chosen)
    minimum = units(policy.min_quota_usd)
    result = {}
    for name, choice in chosen.items():
        amount, rule, reason, proposed = choice.amount, choice.rule, choice.reason, None
        if rises[name]:
            amount = choice.before + rises[name] * allowed // asked // CENT * CENT
            if amount < minimum:
                # A part of what is just enough to trade is too little, and so may be what it has.
                amount = choice.before if choice.before >= minimum else 0
            rule, proposed = "envelope", choice.amount
            reason += f"; {why}: {money(amount)}, more takes two people"
        result[name] = Choice(
            name, choice.weight, choice.before, choice.desired, amount, proposed, rule, reason
        )
    return result


def _explained(
    policy: CapitalPolicy,
    evidence: Evidence,
    whole: int,
    pool: int,
    throttle: ThrottleState,
    weighting: Weighting,
) -> str:
    words = (
        f"Equity {money(evidence.equity)}, of which {money(units(policy.reserve_equity_usd))} are reserve; "
        f"{policy.base_equity_frac * 100:f} % of it, at least {money(units(policy.min_pool_usd))}, "
        f"make a pool of {money(whole)}."
    )
    if throttle.stopped:
        words += (
            f" A drawdown of {policy.drawdown_hard_pct * 100:f} % stopped all capital; two people lift that."
        )
    elif evidence.since_lifted is not None and throttle.multiplier < 1:
        lifted = evidence.since_lifted
        words += (
            f" People lifted a stop on {lifted.at:%Y-%m-%d %H:%M}: since then the fall from {money(lifted.peak)} of "
            f"{lifted.drawdown * 100:.2f} % counts, and {throttle.multiplier * 100:.1f} % of it is given out, "
            f"{money(pool)}."
        )
    elif throttle.multiplier < 1:
        words += (
            f" The drawdown of {evidence.drawdown * 100:.2f} % leaves {throttle.multiplier * 100:.1f} % "
            f"of it, {money(pool)}."
        )
    why = f" ({weighting.note})" if weighting.note else ""
    return f"{words} Method: {weighting.method}{why}."
