"""What rules may speak of: triggers with their facts, metrics, actions with their parameters.

A rule that names anything else is refused when it is loaded, so that none waits for what never comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class VocabularyError(ValueError):
    """A rule speaks of something that does not exist, or in a way it cannot be used."""


class Kind(StrEnum):
    """What a fact is."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Fact:
    """One name a condition may use.

    Attributes
    ----------
    unit : of a number, for people.  choices : the only texts that occur; none given means any.
    """

    kind: Kind = Kind.NUMBER
    unit: str = ""
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number an action takes, with its bounds."""

    lowest: Decimal
    highest: Decimal
    default: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something a rule may do.

    Attributes
    ----------
    needs : a fact the trigger must carry, "" for none: what it acts on.
    text : what it does, for people. Whatever it does lowers risk or tells somebody; machines do nothing else.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Attributes
    ----------
    triggers : what happens, each with the facts it carries.  metrics : known at any time.
    actions : by name.
    """

    triggers: Mapping[str, Mapping[str, Fact]]
    metrics: Mapping[str, Fact] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for trigger, facts in self.triggers.items():
            both = sorted(facts.keys() & self.metrics.keys())
            if both:
                raise VocabularyError(f"{trigger} carries what is a metric too: {', '.join(both)}")

    def facts(self, trigger: str) -> dict[str, Fact]:
        """Every name a condition of this trigger may use.

        Raises
        ------
        VocabularyError : no such trigger.
        """
        if trigger not in self.triggers:
            raise VocabularyError(f"nothing is called {trigger!r}; there are {_names(self.triggers)}")
        return {**self.metrics, **self.triggers[trigger]}

    def action(self, name: str) -> Action:
        """Raises
        ------
        VocabularyError : no such action.
        """
        if name not in self.actions:
            raise VocabularyError(f"no action is called {name!r}; there are {_names(self.actions)}")
        return self.actions[name]


def _names(known: Mapping[str, object]) -> str:
    return ", ".join(sorted(known)) or "none"
