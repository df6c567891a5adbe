"""What was decided live beside what the backtester decides on the same bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from trading.domain.strategies import Desired, Observation, Strategy
from trading.domain.strategies.base import Protection, Quotes


@dataclass(frozen=True, slots=True)
class Said:
    """One decision about the bar that closed at `close_ns`, or about what was seen at that moment.

    Attributes
    ----------
    quotes, protection : compared where the step was recorded with what it saw; None for bars, and for none.
    """

    close_ns: int
    target: float
    confidence: float
    reason: str
    quotes: Quotes | None = None
    protection: Protection | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One bar or book on which the two disagree.

    Attributes
    ----------
    kind : `other` decisions; `missing`, live said nothing; `extra`, only live said something; `memory`, what live
        remembered is not what the steps before lead to.
    """

    close_ns: int
    kind: Literal["other", "missing", "extra", "memory"]
    live: Said | None
    backtest: Said | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Decisions that are the same, and those that are not, by bar."""

    same: int
    differences: tuple[Difference, ...]

    @property
    def compared(self) -> int:
        """Bars on which either said something."""
        return self.same + len(self.differences)


def compare(live: Sequence[Said], backtest: Sequence[Said]) -> Comparison:
    """Compare two records of decisions, each ascending.

    Targets and confidences have to be equal, not close: the code, the bars and the memory are the same.
    """
    ours = {said.close_ns: said for said in live}
    theirs = {said.close_ns: said for said in backtest}
    same, found = 0, []
    for close_ns in sorted({*ours, *theirs}):
        a, b = ours.get(close_ns), theirs.get(close_ns)
        if a == b:
            same += 1
        else:
            kind: Literal["other", "missing", "extra"] = (
                "missing" if a is None else "extra" if b is None else "other"
            )
            found.append(Difference(close_ns, kind, a, b))
    return Comparison(same, tuple(found))


def decided(said: Sequence[tuple[int, Desired | None]], from_ns: int, to_ns: int) -> list[Said]:
    """Return what a recorded run decided about bars that closed in a span, both ends included."""
    return [
        Said(close_ns, desired.target, desired.confidence, desired.reason)
        for close_ns, desired in said
        if desired is not None and from_ns <= close_ns <= to_ns
    ]


@dataclass(frozen=True, slots=True)
class NoParams:
    """The script is all there is."""


class Scripted(Strategy):
    """A strategy that says what it was told to say at each close, and nothing else."""

    name: ClassVar[str] = "scripted"
    Params: ClassVar[type] = NoParams

    def __init__(self, script: Mapping[int, float]) -> None:
        self._script = script

    def warmup(self, params: Any) -> int:
        """Return 0."""
        return 0

    def initial(self, params: Any) -> None:
        """Return nothing."""

    def step(self, params: Any, state: None, observation: Observation) -> tuple[None, Desired | None]:
        """Return the target that stands in the script for this close."""
        target = self._script.get(observation.now_ns)
        return None, None if target is None else Desired(target, reason="SCRIPT")


def scripted(decisions: Sequence[Said]) -> Scripted:
    """Return a strategy that repeats recorded decisions."""
    return Scripted({said.close_ns: said.target for said in decisions})
