"""The stages of a model version, and which way it may go."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trading.domain.errors import IllegalTransition


class Stage(StrEnum):
    """What a version is allowed to do.

    CANDIDATE: trained, nothing else. SHADOW: decides without orders. CANARY: trades capped capital beside the
    champion. CHAMPION: in force. RETIRED: no longer used, never deleted once it has served.
    """

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    CHAMPION = "champion"
    RETIRED = "retired"


_S = Stage
TRANSITIONS: Final = MappingProxyType(
    {
        _S.CANDIDATE: frozenset({_S.SHADOW, _S.CANARY, _S.CHAMPION, _S.RETIRED}),
        _S.SHADOW: frozenset({_S.CANDIDATE, _S.CANARY, _S.CHAMPION, _S.RETIRED}),
        _S.CANARY: frozenset({_S.SHADOW, _S.CHAMPION, _S.RETIRED}),
        # Drift may send a champion back to shadow; a successor retires it.
        _S.CHAMPION: frozenset({_S.SHADOW, _S.RETIRED}),
        # A rollback brings back what served before.
        _S.RETIRED: frozenset({_S.CHAMPION, _S.CANDIDATE}),
    }
)

SERVING: Final = frozenset({_S.CANARY, _S.CHAMPION})
"""The stages whose decisions move money."""


def check_move(current: Stage, target: Stage) -> None:
    """Refuse a move the table does not have.

    Raises
    ------
    IllegalTransition : with both stages.
    """
    if target not in TRANSITIONS[current]:
        raise IllegalTransition(f"a {current} model cannot become {target}")


def raises_risk(target: Stage) -> bool:
    """Tell whether a move to this stage lets a model trade, and so takes a second person."""
    return target in SERVING
