"""Every kind of change that takes two people: registered by the app that owns what it changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet

from nautilus_site.common.errors import ApplicationError, NotFound

if TYPE_CHECKING:
    from nautilus_site.common.models import ChangeRequest, User

Rows = Sequence[QuerySet[Any, Any]]
WORD: Final = r"[^\s:,@\x00-\x1f\x7f]{1,80}"
"""A name inside a target: whatever separates the parts of one is not in it."""


class TargetChanged(Exception):
    """Found while a change is carried out: the target is not what was approved. The request is void."""


def numbered(prefix: str) -> re.Pattern[str]:
    """Targets `PREFIX:ID`, in the one way an id is written."""
    return re.compile(rf"{prefix}:[1-9][0-9]{{0,17}}")


def named(prefix: str) -> re.Pattern[str]:
    """Targets `PREFIX:NAME`."""
    return re.compile(rf"{prefix}:{WORD}")


@dataclass(frozen=True, slots=True)
class Applier:
    """How one kind of change is looked at and carried out. Registered by the app that owns the target."""

    snapshot: Callable[[str], Mapping[str, Any]]
    """The target as it is now; a request is void when this changed since it was made."""
    apply: Callable[[ChangeRequest, User], None]
    """Carry it out through the owning app's service; runs inside the approving transaction."""
    effect: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = lambda target, payload: {}
    permission: str = "risk.propose"
    """What the asker's role must allow, and the credentials they ask with (`roles.py`)."""
    clean: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] | None = None
    """Check a payload when it is proposed; raises ApplicationError. What it returns is what is approved."""
    bars: Callable[[str, User], str] = lambda target, person: ""
    """Why a person may not decide about this object though their role may decide the kind. Empty: they may."""
    bars_payload: Callable[[str, Mapping[str, Any], User], str] = lambda target, payload, person: ""
    """The same where whose it is stands in what is asked for: a policy is nobody's, a strategy's cap in it is."""
    bars_asking: Callable[[str, User], str] = lambda target, person: ""
    """The same of asking."""
    sealed: frozenset[str] = frozenset()
    """Members that hold a sealed secret: approved with the rest of the payload, told to nobody."""
    target: re.Pattern[str] = field(kw_only=True)
    """The one way its targets are written. Two spellings of one object would be two objects to `bars`."""
    rows: Callable[[str], Rows] = field(kw_only=True)
    """The rows the snapshot reads, in the platform's lock order: locked by the approval before it compares, so that
    nothing it compared can change before it is written. What may be missing is checked by `apply` (`TargetChanged`)."""
    by_machine: bool = field(default=False, kw_only=True)
    """Asked for by the platform itself, in the name of somebody who cannot log in."""

    def told(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The payload as the audit trail keeps it."""
        return {name: value for name, value in payload.items() if name not in self.sealed}

    def check_target(self, target: str) -> None:
        """Refuse another spelling.

        Raises
        ------
        ApplicationError : INVALID_TARGET.
        """
        if self.target.fullmatch(target) is None:
            raise ApplicationError("INVALID_TARGET", f"{target[:80]!r} is not how such a target is written")

    def barred(self, target: str, payload: Mapping[str, Any], person: User) -> str:
        """Why this person may not decide about a request. Whose its target is must be known, or nobody decides."""
        if self.target.fullmatch(target) is None:
            return f"nobody can tell whose {target[:80]!r} is"
        return self.bars(target, person) or self.bars_payload(target, payload, person)

    def locked_snapshot(self, target: str) -> Mapping[str, Any] | None:
        """The target as it is and stays until the end of this transaction. None: it is there no more."""
        try:
            for rows in self.rows(target):
                list(rows.order_by("pk").select_for_update(of=("self",), no_key=True))
            return self.snapshot(target)
        except (NotFound, ObjectDoesNotExist):
            return None


_appliers: dict[str, Applier] = {}


def register_applier(kind: str, applier: Applier) -> None:
    if kind in _appliers and _appliers[kind] is not applier:
        raise ValueError(f"an applier for {kind!r} is registered already")
    _appliers[kind] = applier


def register_appliers(appliers: Mapping[str, Applier]) -> None:
    """Register the kinds of one app, by name."""
    for kind, applier in appliers.items():
        register_applier(kind, applier)


def registered_kinds() -> tuple[str, ...]:
    """Every kind of change that takes two people, sorted."""
    return tuple(sorted(_appliers))


def applier_for(kind: str) -> Applier:
    try:
        return _appliers[kind]
    except KeyError:
        raise ApplicationError("UNKNOWN_CHANGE", f"no change of kind {kind!r} is known") from None
