"""What a settled order means for the bracket of its position; read by settlement, so it knows rows only."""

from __future__ import annotations

from django.db import connection

from nautilus_site.common.services.hints import enqueue_on_commit
from trading.models import Order, StrategyInstance

_BRACKETS = "SELECT id FROM trading_bracket WHERE account_id = %s AND instrument_id = %s AND ended_at IS NULL"


def protection_hint(order: Order, *, traded: bool) -> None:
    """Ask for a step of the bracket of an order's symbol, and let strategies leave when their protection has traded.

    A strategy whose exit has traded wants nothing until it speaks again, as in the backtest: in the transaction that
    books the fill, so that no plan made afterwards buys back what was just sold.
    """
    if traded:
        StrategyInstance.objects.filter(
            account_id=order.account_id, instrument_id=order.instrument_id, protection__isnull=False
        ).update(target=0, protection=None)
    with connection.cursor() as cursor:
        cursor.execute(_BRACKETS, [order.account_id, order.instrument_id])
        brackets = [pk for (pk,) in cursor.fetchall()]
    for bracket_id in brackets:
        enqueue_on_commit("trading.tasks.bracket_step", queue="trading", bracket_id=bracket_id)
