"""From weights to money: every limit applied, in a fixed order, each change with its reason.

All amounts are integers in units of 1e-8 quote currency, so that limits hold exactly. Every step
either keeps an amount or lowers it; therefore a limit that holds keeps holding, the order matters only for
the explanation's words, and projecting twice changes nothing. What a limit takes away stays in the pool,
it is not handed to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite

from governance.domain.allocation.weights import AllocationError


@dataclass(frozen=True, slots=True)
class GroupCap:
    """Most that strategies may have together: those of one symbol, or of one cluster of correlated symbols."""

    name: str
    members: frozenset[str]
    cap: int


@dataclass(frozen=True, slots=True)
class CapitalLimits:
    """Attributes
    ----------
    pool : what may be given out at most.  caps : per strategy; one without a cap has `default_cap`.
    groups : caps on sums.  minimum : an amount below it becomes zero: too small to trade.
    stopped : killed or demoted strategies; they get nothing, at once.
    max_increase : an amount may rise by that much above the current one per step; None is no bound.
    """

    pool: int
    default_cap: int
    caps: Mapping[str, int] = field(default_factory=dict)
    groups: tuple[GroupCap, ...] = ()
    minimum: int = 0
    stopped: frozenset[str] = frozenset()
    max_increase: int | None = None

    def __post_init__(self) -> None:
        amounts = [self.pool, self.default_cap, self.minimum, *self.caps.values()]
        amounts += [group.cap for group in self.groups]
        if self.max_increase is not None:
            amounts.append(self.max_increase)
        if any(amount < 0 for amount in amounts):
            raise AllocationError("expected limits of zero or more")


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One limit that lowered an amount: which, from, to."""

    rule: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What one strategy gets, and every adjustment on the way from what it should have got."""

    strategy: str
    amount: int
    adjustments: tuple[Adjustment, ...] = ()


def capital_pool(equity: int, *, fraction: Fraction, reserve: int, minimum: int = 0) -> int:
    """Return what may be given out: max(equity x fraction, minimum), never more than equity - reserve.

    Raises
    ------
    AllocationError : a fraction outside [0, 1], or a negative reserve or minimum.
    """
    if not 0 <= fraction <= 1 or reserve < 0 or minimum < 0:
        raise AllocationError("expected a fraction of 0 to 1 and amounts of zero or more")
    wanted = max(int(Fraction(equity) * fraction), minimum)
    return max(0, min(wanted, equity - reserve))


def desired_amounts(weights: Mapping[str, float], pool: int) -> dict[str, int]:
    """Return each weight's share of the pool, rounded down.

    Raises
    ------
    AllocationError : a weight that is negative or not finite, or a negative pool.
    """
    if pool < 0:
        raise AllocationError(f"expected a pool of zero or more, was {pool}")
    for name, weight in weights.items():
        if not (isfinite(weight) and weight >= 0):
            raise AllocationError(f"{name}: expected a finite weight of zero or more, was {weight}")
    return {name: int(Fraction(weight) * pool) for name, weight in weights.items()}


def project(
    desired: Mapping[str, int], limits: CapitalLimits, current: Mapping[str, int] | None = None
) -> tuple[Grant, ...]:
    """Apply the limits in their order: stopped, cap, increase, groups, pool, minimum.

    Sums that are too large are scaled down in proportion, rounded down.

    Parameters
    ----------
    desired : amount per strategy, zero or more.  current : amounts in force, for `max_increase`; a
        strategy that is not in it has none.

    Raises
    ------
    AllocationError : a negative amount.

    Returns
    -------
    One grant per strategy, ordered by name. The amounts never exceed any limit.
    """
    if any(amount < 0 for amount in desired.values()):
        raise AllocationError("expected desired amounts of zero or more")
    names = sorted(desired)
    amounts = {name: desired[name] for name in names}
    steps: dict[str, list[Adjustment]] = {name: [] for name in names}

    def lower(name: str, to: int, rule: str) -> None:
        if to < amounts[name]:
            steps[name].append(Adjustment(rule, amounts[name], to))
            amounts[name] = to

    for name in names:
        if name in limits.stopped:
            lower(name, 0, "stopped")
        lower(name, limits.caps.get(name, limits.default_cap), "cap")
        if limits.max_increase is not None:
            lower(name, (current or {}).get(name, 0) + limits.max_increase, "max_increase")
    for group in sorted(limits.groups, key=lambda item: item.name):
        _scale(amounts, sorted(group.members & amounts.keys()), group.cap, f"group:{group.name}", lower)
    _scale(amounts, names, limits.pool, "pool", lower)
    for name in names:
        if amounts[name] < limits.minimum:
            lower(name, 0, "minimum")
    return tuple(Grant(name, amounts[name], tuple(steps[name])) for name in names)


def _scale(
    amounts: Mapping[str, int],
    names: Iterable[str],
    cap: int,
    rule: str,
    lower: Callable[[str, int, str], None],
) -> None:
    members = list(names)
    total = sum(amounts[name] for name in members)
    if total <= cap:
        return
    for name, amount in [(name, amounts[name]) for name in members]:
        lower(name, amount * cap // total, rule)
