"""How fast an allocation may move: a band in which nothing changes, a step, a cool-down after a rise."""

from __future__ import annotations

from dataclasses import dataclass

from governance.domain.allocation.weights import AllocationError


@dataclass(frozen=True, slots=True)
class Pace:
    """Attributes
    ----------
    band : changes up to this fraction of the current amount are not worth an order (hysteresis).
    step_up, step_down : most of the current amount gained or lost at a time, fractions.
    smallest_step : a rise of this much (units of 1e-8 quote) is always allowed, so that zero can grow.
    cooldown_s : after a change no rise for so long; falls never wait.
    """

    band: float = 0.05
    step_up: float = 0.15
    step_down: float = 0.20
    smallest_step: int = 0
    cooldown_s: float = 900.0

    def __post_init__(self) -> None:
        if not (0 <= self.band < 1 and self.step_up >= 0 and 0 < self.step_down <= 1):
            raise AllocationError("expected 0 <= band < 1, step_up >= 0 and 0 < step_down <= 1")
        if self.smallest_step < 0 or self.cooldown_s < 0:
            raise AllocationError("expected a smallest step and cool-down of zero or more")


@dataclass(frozen=True, slots=True)
class Paced:
    """The amount to ask for, and why it is not the desired one ("" when it is)."""

    amount: int
    reason: str


def paced(desired: int, current: int, pace: Pace, *, since_change_s: float | None) -> Paced:
    """Return how far to go from the current towards the desired amount in this step.

    This shapes what is asked for; limits come afterwards (`project`) and may lower it further and at once.

    Parameters
    ----------
    since_change_s : seconds since the last change, None when there was none.

    Raises
    ------
    AllocationError : negative amounts.
    """
    if desired < 0 or current < 0:
        raise AllocationError(f"expected amounts of zero or more, were {desired} and {current}")
    change = desired - current
    if change == 0:
        return Paced(current, "")
    if desired and abs(change) <= pace.band * current:
        return Paced(current, "within_band")
    if change < 0:
        lowest = current - int(current * pace.step_down)
        return Paced(desired, "") if desired >= lowest else Paced(lowest, "step_down")
    if since_change_s is not None and since_change_s < pace.cooldown_s:
        return Paced(current, "cooldown")
    highest = current + max(int(current * pace.step_up), pace.smallest_step)
    return Paced(desired, "") if desired <= highest else Paced(highest, "step_up")
