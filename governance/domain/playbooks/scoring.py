"""How a rehearsal is marked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened. Times in seconds after the fault was injected; None where it did not happen."""

    target_s: float
    detected_s: float | None
    actions: int
    carried_out: int
    verified: int
    risk_added_after: int
    """Orders that add risk in the scope, sent after the actions were in force."""
    withdrawn: bool
    undo_offered: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """One criterion: points of at most so many, and why."""

    name: str
    points: int
    of: int
    said: str


def score(facts: Facts) -> tuple[int, tuple[Mark, ...]]:
    """Points out of 100, and what they are for.

    Detection: 40 within the target, falling to 0 at three times it. Each action carried out and each verified by its
    effect: 20 in all for either. Nothing that adds risk afterwards: 10. Withdrawal and undo: 5 each.
    """
    marks = (
        _detection(facts),
        _share("carried out", facts.carried_out, facts.actions),
        _share("verified by their effect", facts.verified, facts.actions),
        Mark(
            "no new risk",
            10 if facts.verified and not facts.risk_added_after else 0,
            10,
            f"{facts.risk_added_after} orders added risk afterwards"
            if facts.verified
            else "nothing was in force that could have stopped one",
        ),
        Mark("fault withdrawn", 5 if facts.withdrawn else 0, 5, "yes" if facts.withdrawn else "no"),
        Mark("undo offered", 5 if facts.undo_offered else 0, 5, "yes" if facts.undo_offered else "no"),
    )
    return sum(mark.points for mark in marks), marks


def _detection(facts: Facts) -> Mark:
    if facts.detected_s is None:
        return Mark("detection", 0, 40, "it was not detected")
    late = max(0.0, facts.detected_s - facts.target_s) / (2 * facts.target_s)
    points = round(40 * max(0.0, 1.0 - late))
    return Mark(
        "detection", points, 40, f"after {facts.detected_s:.1f} s, asked for within {facts.target_s:g} s"
    )


def _share(name: str, done: int, of: int) -> Mark:
    points = round(20 * done / of) if of else 0
    return Mark(f"actions {name}", points, 20, f"{done} of {of}")
