"""The governed documents: how each is read, and which of its changes raise risk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.domain.policies.located import Node
from nautilus_site.common.errors import NotFound

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Activated:
    """What has just come into force.

    Attributes
    ----------
    before : None where nothing was in force, or nothing this code understands.
    asked_at : when the approved request for it was filed; None where no second person was asked.
    """

    before: Values | None
    after: Values
    asked_at: datetime | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """Attributes
    ----------
    read : raises DocumentError with every problem.
    loosened : members at which the second document allows more than the first.
    effect : what the document would do now, in numbers, for whoever decides.
    check : refuses what the schema alone cannot tell; raises ApplicationError.
    activated : runs inside the activating transaction.
    """

    name: str
    file: str
    read: Callable[[Node], dict[str, Any]]
    loosened: Callable[[Values, Values], list[str]]
    effect: Callable[[Values], Mapping[str, Any]] = lambda values: {}
    check: Callable[[Values], None] = lambda values: None
    activated: Callable[[Activated], None] = lambda event: None


_kinds: dict[str, PolicyKind] = {}


def register_policy_kind(kind: PolicyKind) -> None:
    _kinds[kind.name] = kind


def policy_kind(name: str) -> PolicyKind:
    """Raises
    ------
    NotFound : UNKNOWN_POLICY.
    """
    if name not in _kinds:
        raise NotFound(
            "UNKNOWN_POLICY", f"no policy is called {name!r}; there are {', '.join(policy_names())}"
        )
    return _kinds[name]


def policy_names() -> list[str]:
    return sorted(_kinds)


def kind_of_file(file_name: str) -> PolicyKind:
    """The policy that a file's name means: `capital_policy.json` or `policies.yaml`, in either format.

    Raises
    ------
    NotFound : UNKNOWN_POLICY.
    """
    return policy_kind(file_name.partition(".")[0])


CAPITAL, WEIGHTS, RULES = "capital_policy", "strategy_weights", "policies"
