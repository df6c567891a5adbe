"""Spot dust: what a strategy that wants nothing has left and the venue will not trade goes to people, by double entry.

It stays in the account and in its equity; only whose it is changes, at the middle of the book, so that the strategy is
flat with the result it had and plans no exit that cannot be sent. USD-M has none: a contract closes in whole steps.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from trading.domain.portfolio import is_dust
from trading.domain.subaccounts import NETTING, PEOPLE
from trading.domain.values import Market, to_units
from trading.models import Account, StrategyInstance, SubPosition
from trading.selectors.marks import marks_read
from trading.services.books.transfers import position_give_up_dust
from trading.services.exposure import position_locked


def dust_sweep(account: Account) -> int:
    """Post the dust of every strategy that has ended its position. Returns how many parts went to people."""
    if account.market != Market.spot:
        return 0
    parts = list(
        SubPosition.objects.select_related("position__instrument")
        .filter(position__account=account, quantity__gt=0)
        .exclude(owner__in=(PEOPLE, NETTING))
        .order_by("pk")
    )
    marks = marks_read({part.position.instrument_id for part in parts})
    posted = 0
    for part in parts:
        mid = marks.of(part.position.instrument_id)
        if mid is not None and _is_left_over(part, mid):
            posted += _give_up(account, part, mid)
    return posted


def _is_left_over(part: SubPosition, mid: Decimal) -> bool:
    """Too little to trade, nothing working on the symbol, and its strategy wants none of it."""
    position = part.position
    if position.open_buy or position.open_sell:
        return False
    if not is_dust(to_units(part.quantity), position.instrument.to_domain(), mid):
        return False
    wanting = StrategyInstance.objects.filter(
        strategy__name=part.owner, account_id=position.account_id, instrument_id=position.instrument_id
    ).exclude(target=0)
    return not wanting.exists()


@transaction.atomic
def _give_up(account: Account, part: SubPosition, mid: Decimal) -> bool:
    instrument = part.position.instrument
    position = position_locked(account, instrument)
    held = SubPosition.objects.select_related("position__instrument").get(pk=part.pk)
    held.position = position
    if held.quantity <= 0 or not _is_left_over(held, mid):
        return False  # it traded meanwhile
    position_give_up_dust(position, instrument, giver=held.owner, quantity=held.quantity, price=mid)
    return True
