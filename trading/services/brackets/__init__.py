"""Brackets: opening, stepping, moving and sweeping the protective set of a position."""

from trading.services.brackets.commands import (
    bracket_cancel,
    bracket_in_the_way,
    bracket_leaves,
    bracket_move,
    bracket_yield,
    yield_for_sale,
)
from trading.services.brackets.naked import bracket_naked_s, position_naked_s
from trading.services.brackets.opening import (
    Wanted,
    bracket_prepare,
    bracket_start,
    brackets_ensure,
    exits_of_strategies,
)
from trading.services.brackets.stepping import bracket_step
from trading.services.brackets.sweeping import (
    brackets_open,
    orphans_sweep,
    strategies_guard,
)

__all__ = [
    "Wanted",
    "bracket_cancel",
    "bracket_in_the_way",
    "bracket_leaves",
    "bracket_move",
    "bracket_naked_s",
    "bracket_prepare",
    "bracket_start",
    "bracket_step",
    "bracket_yield",
    "brackets_ensure",
    "brackets_open",
    "exits_of_strategies",
    "orphans_sweep",
    "position_naked_s",
    "strategies_guard",
    "yield_for_sale",
]
