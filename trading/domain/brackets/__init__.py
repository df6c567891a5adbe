"""Brackets: the exits a position should carry, as a durable state machine without I/O."""

from trading.domain.brackets.exits import Exits, TakeProfit, check_exits, ratchet, tightened
from trading.domain.brackets.facts import (
    Amend,
    BracketState,
    Cancel,
    Decision,
    Facts,
    Leg,
    Place,
    Role,
    Slice,
)
from trading.domain.brackets.machine import TRANSITIONS, decide

__all__ = [
    "TRANSITIONS",
    "Amend",
    "BracketState",
    "Cancel",
    "Decision",
    "Exits",
    "Facts",
    "Leg",
    "Place",
    "Role",
    "Slice",
    "TakeProfit",
    "check_exits",
    "decide",
    "ratchet",
    "tightened",
]
