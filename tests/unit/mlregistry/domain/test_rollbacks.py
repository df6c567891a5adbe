"""Which champions a rollback may go back to."""

from __future__ import annotations

from mlregistry.domain.rollbacks import Move, standing_champions
from mlregistry.domain.stages import Stage

TWO, ONE = "owner and risk", "risk"
CHAMPION, RETIRED, SHADOW, CANDIDATE = Stage.CHAMPION, Stage.RETIRED, Stage.SHADOW, Stage.CANDIDATE


def approved(version: int, former: int | None = None, *, told: bool = True) -> list[Move]:
    """An approved promotion, and the former champion's way out; `told`: that move carries the approval, too."""
    out = [] if former is None else [Move(former, CHAMPION, RETIRED, told, TWO)]
    return [*out, Move(version, CANDIDATE, CHAMPION, True, TWO)]


def back(present: int, to: int) -> list[Move]:
    return [Move(present, CHAMPION, RETIRED, False, ONE), Move(to, RETIRED, CHAMPION, False, ONE)]


def test_each_approved_champion_that_gave_way_stands() -> None:
    assert standing_champions([Move(1, None, CANDIDATE, False, ONE), *approved(1), *approved(2, 1)]) == [1, 2]
    assert standing_champions([*approved(1), *approved(2, 1, told=False)]) == [1, 2], "as older rows tell it"


def test_what_was_rolled_back_stands_no_more_and_what_is_before_it_does() -> None:
    moves = [*approved(1), *approved(2, 1), *approved(3, 2), *back(3, 2)]
    assert standing_champions(moves) == [1, 2]
    assert standing_champions([*moves, *back(2, 1)]) == [1]
    assert standing_champions([*moves, *approved(4, 2)]) == [1, 2, 4], "the third is passed over"
    assert standing_champions([*moves, *approved(3, 2)]) == [1, 2, 3], "approved again"


def test_what_one_person_retired_or_sent_to_shadow_stands_no_more() -> None:
    for stage in (RETIRED, SHADOW):
        moves = [*approved(1), Move(1, CHAMPION, stage, False, ONE)]
        assert standing_champions(moves) == []
        assert standing_champions([*moves, *approved(2)]) == [2], "that another follows makes it no successor"
