"""What a settled order means for the bracket of its position; read by settlement, so it knows rows only."""

from __future__ import annotations

from nautilus_site.common.services.hints import enqueue_on_commit
from trading.models import Bracket, Order, StrategyInstance


def protection_hint(order: Order, *, traded: bool) -> None:
    """Ask for a step of the bracket of an order's symbol, and let strategies leave when their protection has traded.

    A strategy whose exit has traded wants nothing until it speaks again, as in the backtest: in the transaction that
    books the fill, so that no plan made afterwards buys back what was just sold.
    """
    if traded:
        StrategyInstance.objects.filter(
            account_id=order.account_id, instrument_id=order.instrument_id, protection__isnull=False
        ).update(target=0, protection=None)
    for bracket_id in Bracket.objects.filter(
        account_id=order.account_id, instrument_id=order.instrument_id, ended_at=None
    ).values_list("pk", flat=True):
        enqueue_on_commit("trading.tasks.bracket_step", queue="trading", bracket_id=bracket_id)
