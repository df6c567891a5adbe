"""Which champions a family may go back to: those that gave way to an approved successor, the newest last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlregistry.domain.stages import Stage


@dataclass(frozen=True, slots=True)
class Move:
    """One kept change of a version's stage."""

    version: int
    came_from: Stage | None
    to: Stage
    approved: bool
    """Two people agreed on it, or on the envelope it was made in."""
    actor: str


def standing_champions(moves: Sequence[Move]) -> list[int]:
    """Versions in the order they came into force by an approval and were not taken out of it by one person since.

    A champion leaves this list when somebody rolls it back, retires it or sends it back to shadow: only another
    approval puts it on again, so a rollback only ever goes further back. Giving way to an approved successor keeps it.

    Parameters
    ----------
    moves : of one family, oldest first.
    """
    standing: list[int] = []
    for index, move in enumerate(moves):
        if move.to is Stage.CHAMPION:
            if move.approved:
                standing = [version for version in standing if version != move.version] + [move.version]
        elif move.came_from is Stage.CHAMPION and not _gave_way(move, moves[index + 1 : index + 2]):
            standing = [version for version in standing if version != move.version]
    return standing


def _gave_way(move: Move, following: Sequence[Move]) -> bool:
    """Whether an approved successor took its place.

    Its own move carries the approval; before that was written down it was the move before its successor's, by the
    same hands.
    """
    return move.approved or any(
        after.to is Stage.CHAMPION
        and after.approved
        and after.actor == move.actor
        and after.version != move.version
        for after in following
    )
