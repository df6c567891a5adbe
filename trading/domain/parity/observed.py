"""Decisions at books, decided again: the same step over what each step was recorded to have seen.

A book cannot be made from bars, so what was seen is kept with what was said. At every bar what the strategy
remembered is kept as well: a chain of steps begins there, and at the next bar the memory has to be what the steps in
between made of it. A lost step, or a state that somebody changed, shows there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from trading.domain.parity.decisions import Comparison, Difference, Said
from trading.domain.strategies import Desired, Observation, Strategy


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded step.

    Attributes
    ----------
    seen : all that it saw.  said : None for "no change".
    memory : the state before it as plain data, alone in a tuple; None where it was not kept.
    chain : steps of one number followed each other on one memory.
    shown : number of the newest own fill it had been shown, with this step.
    """

    seen: Observation
    said: Said | None
    memory: tuple[Any] | None
    chain: int
    shown: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Steps decided again.

    Attributes
    ----------
    steps : those that could be.  own : what the strategy says at each of them now.
    unknown : steps before the first memory that was kept.
    """

    steps: tuple[Step, ...]
    own: tuple[Said | None, ...]
    comparison: Comparison
    unknown: int


def decide_again(strategy: Strategy, params: Any, steps: Iterable[Step]) -> Again:
    """Step over recorded observations, in the order they were made, and compare.

    Targets, confidences, reasons, quotes and protection have to be equal, not close.
    """
    taken: list[Step] = []
    own: list[Said | None] = []
    found: list[Difference] = []
    same = unknown = 0
    state: Any = None
    known, chain = False, None
    for step in steps:
        if step.chain != chain:
            known, chain = False, step.chain
        if step.memory is not None:
            kept = strategy.load(json.dumps(step.memory[0]))
            if known and state != kept:
                found.append(Difference(step.seen.now_ns, "memory", None, None))
            state, known = kept, True
        if not known:
            unknown += 1
            continue
        after, desired = strategy.step(params, state, step.seen)
        # As live: what is remembered is written down and read again between two steps.
        state = strategy.load(strategy.dump(after))
        now = said_of(step.seen.now_ns, desired)
        taken.append(step)
        own.append(now)
        if now == step.said:
            same += 1
        else:
            kind: Literal["other", "missing", "extra"] = (
                "missing" if step.said is None else "extra" if now is None else "other"
            )
            found.append(Difference(step.seen.now_ns, kind, step.said, now))
    return Again(tuple(taken), tuple(own), Comparison(same, tuple(found)), unknown)


def said_of(now_ns: int, desired: Desired | None) -> Said | None:
    """Return what a step wants as it is compared."""
    if desired is None:
        return None
    exits = desired.protection
    if exits is not None and (exits.stop, exits.take_profit, exits.trailing) == (None, None, None):
        exits = None  # nothing to protect with, which is how it is stored
    return Said(now_ns, desired.target, desired.confidence, desired.reason, desired.quotes, exits)
