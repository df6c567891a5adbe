"""The steps a playbook may take. Every one lowers risk; there is no verb that raises it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Verb(StrEnum):
    """What is done to the scope a playbook was triggered on, or to everything."""

    kill = "kill"
    """Raise its level; latched until people lower it."""
    blackout = "blackout"
    """No new risk for some minutes; ends by itself."""
    tighten = "tighten"
    """Multiply a limit in force by a factor below 1 (or divide, where higher is the safe side)."""
    trim = "trim"
    """Sell contracts down to a share of what strategies hold, in an orderly way."""
    disable = "disable"
    """Switch a strategy off."""


class InvalidAction(ValueError):
    """The parameters describe no action; the message says what is wrong."""


MACHINE_LEVELS: Final = ("REDUCING", "HALT_NEW", "CANCEL")
"""Closing positions is people's decision (safety.md 1.6)."""
LONGEST_BLACKOUT_MIN: Final = 24 * 60
MOST_STEPS: Final = 20
"""They are taken in one transaction: so many that it runs out of time would take the kill among them along."""
_MEMBERS: Final = {
    Verb.kill: {"level", "on"},
    Verb.blackout: {"minutes", "on"},
    Verb.tighten: {"limit", "factor", "on"},
    Verb.trim: {"factor", "on"},
    Verb.disable: {"on"},
}
# A level is raised before anything else is locked (rulings 13).
_ORDER: Final = {Verb.kill: 0, Verb.disable: 1, Verb.blackout: 2, Verb.trim: 3, Verb.tighten: 4}

UNDO_PERMISSIONS: Final = {
    Verb.kill: "kill.resume",
    Verb.disable: "risk.propose",
    Verb.blackout: "risk.propose",
    Verb.trim: "capital.propose",
    Verb.tighten: "risk.propose",
}
"""What a role needs to ask for a step to be taken back."""


@dataclass(frozen=True, slots=True)
class Action:
    """One checked step. `on` is `scope`, the scope of the trigger, or `global`."""

    verb: Verb
    on: str = "scope"
    level: str = ""
    minutes: int = 0
    limit: str = ""
    factor: float = 1.0

    def members(self) -> dict[str, Any]:
        """As it is stored."""
        told: dict[str, Any] = {"do": self.verb.value, "on": self.on}
        if self.verb is Verb.kill:
            told["level"] = self.level
        elif self.verb is Verb.blackout:
            told["minutes"] = self.minutes
        elif self.verb is Verb.tighten:
            told |= {"limit": self.limit, "factor": self.factor}
        elif self.verb is Verb.trim:
            told["factor"] = self.factor
        return told


def actions_parse(rows: Iterable[Mapping[str, Any]]) -> tuple[Action, ...]:
    """Check the steps of a playbook and put them in the order they are taken.

    Raises
    ------
    InvalidAction : an unknown verb or member, or a value that would not lower risk.
    """
    parsed = [_parse(row) for row in rows]
    if not parsed:
        raise InvalidAction("a playbook needs one action at least")
    return tuple(sorted(parsed, key=lambda action: _ORDER[action.verb]))


def rehearsal_permissions(rows: Iterable[Mapping[str, Any]], *, needs_review: bool) -> list[str]:
    """What a role needs to rehearse a playbook, which ends with its undo, and with a review before it.

    Raises
    ------
    InvalidAction : as `actions_parse`.
    """
    needed = {UNDO_PERMISSIONS[action.verb] for action in actions_parse(rows)}
    return sorted(needed | ({"incidents.review"} if needs_review else set()))


def _parse(row: Mapping[str, Any]) -> Action:
    if not isinstance(row, Mapping) or row.get("do") not in Verb.__members__:
        raise InvalidAction(f"do: expected one of {', '.join(Verb)}")
    verb = Verb(row["do"])
    unknown = sorted(set(row) - _MEMBERS[verb] - {"do"})
    if unknown:
        raise InvalidAction(f"{verb} has no {', '.join(unknown)}")
    on = row.get("on", "scope")
    if on not in ("scope", "global"):
        raise InvalidAction("on: expected scope or global")
    if verb is Verb.kill:
        if row.get("level") not in MACHINE_LEVELS:
            raise InvalidAction(
                f"level: expected one of {', '.join(MACHINE_LEVELS)}; flattening is for people"
            )
        return Action(verb, on, level=row["level"])
    if verb is Verb.blackout:
        minutes = row.get("minutes")
        if (
            isinstance(minutes, bool)
            or not isinstance(minutes, int)
            or not 1 <= minutes <= LONGEST_BLACKOUT_MIN
        ):
            raise InvalidAction(f"minutes: expected a whole number of 1 to {LONGEST_BLACKOUT_MIN}")
        return Action(verb, on, minutes=minutes)
    factor = row.get("factor")
    if verb in (Verb.tighten, Verb.trim) and (
        isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1
    ):
        raise InvalidAction("factor: expected a number above 0 and below 1; nothing here loosens")
    if verb is Verb.tighten:
        limit = row.get("limit")
        if not isinstance(limit, str) or not limit:
            raise InvalidAction("limit: expected the name of a limit")
        return Action(verb, on, limit=limit, factor=float(row["factor"]))
    if verb is Verb.trim:
        if on != "scope":
            raise InvalidAction("trim: the symbol or the strategy the playbook was triggered on")
        return Action(verb, on, factor=float(row["factor"]))
    if on != "scope":
        raise InvalidAction("disable: one strategy, the one the playbook was triggered on")
    return Action(verb, on)
