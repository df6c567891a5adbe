"""What has no stop now: judged anew from positions and working orders, whenever the brackets were stepped last."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max

from trading.domain.brackets import decide
from trading.models import Bracket, Position, StrategyInstance
from trading.selectors.brackets import unprotected_seconds
from trading.selectors.positions import position_opened_at
from trading.services.brackets.opening import exits_of_strategies
from trading.services.brackets.reading import facts_of, position_of


def bracket_naked_s(bracket: Bracket, moment: datetime) -> float:
    """For how long a part of what a bracket guards has had no stop at the venue, seconds. Writes nothing.

    What its last step wrote down is not the only witness: where that step saw no gap and there is one now, it is as old
    as the step. So a bracket that nobody steps any more does not look guarded.
    """
    told = unprotected_seconds(bracket)
    if not decide(facts_of(bracket, position_of(bracket, lock=False))).unprotected:
        return told
    return max(told, (moment - bracket.updated_at).total_seconds())


def position_naked_s(position: Position, moment: datetime) -> float:
    """For how long a position whose strategies want a stop has had no bracket at all, seconds.

    Since it was opened, or its last bracket ended: one that is added to again and again is naked all the while. Most
    have one within a second. What a market maker holds, or people without a stop, is not meant to have any.
    """
    brackets = Bracket.objects.filter(
        account_id=position.account_id,
        instrument_id=position.instrument_id,
        position_side=position.position_side,
    )
    if brackets.filter(ended_at=None).exists():
        return 0.0
    instances = StrategyInstance.objects.filter(
        account_id=position.account_id, instrument_id=position.instrument_id
    )
    asked = exits_of_strategies(list(instances))
    if asked is None:
        return 0.0
    wanted, exit_side = asked
    bounded = wanted.stop is not None or wanted.trailing_bps is not None
    # A position on the other side is on its way to turn: the planner sells it, no stop of this kind belongs to it.
    if not bounded or position.quantity * exit_side.sign > 0:
        return 0.0
    since = position_opened_at(position) or position.updated_at or position.account.opened_at
    ended = brackets.aggregate(last=Max("ended_at"))["last"]
    if since is not None and ended is not None:
        since = max(since, ended)
    return max(0.0, (moment - since).total_seconds()) if since is not None else 0.0
