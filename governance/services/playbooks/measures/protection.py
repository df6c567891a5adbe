"""Whether what should have a stop at the venue has one."""

from __future__ import annotations

from datetime import datetime

from governance.selectors.playbook_scopes import positions_held
from governance.services.playbooks.measures.unmeasured import name_of
from trading.domain.breakers import Reading
from trading.models import Bracket
from trading.services.brackets import bracket_naked_s, position_naked_s


def unprotected(scope: str, since: datetime, moment: datetime) -> Reading:
    """For how long a part of the symbol's position that should have a stop at the venue has had none, seconds."""
    symbol = name_of(scope)
    brackets = Bracket.objects.filter(ended_at=None, account__is_active=True, instrument__symbol=symbol)
    rows = brackets.select_related("account__venue", "instrument", "strategy")
    longest = max((bracket_naked_s(row, moment) for row in rows), default=0.0)
    unguarded = max((position_naked_s(row, moment) for row in positions_held(symbol)), default=0.0)
    if unguarded > longest:
        return Reading(unguarded, detail=f"without a bracket for {unguarded:.0f} s")
    return Reading(longest, detail=f"without a stop for {longest:.0f} s")
