"""Comparing what a strategy did live with what the backtester does on the same bars, or on the same books."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from nautilus_site.common.errors import ApplicationError, NotFound
from trading.models import StrategyInstance
from trading.services.parity.bars import bars_compared
from trading.services.parity.books import steps_at_books, steps_compared
from trading.services.parity.report import ParityReport

__all__ = ["ParityReport", "parity_check"]


def parity_check(
    *,
    strategy: str,
    account: str | None = None,
    symbol: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    fee_bps: Decimal = Decimal(10),
) -> list[ParityReport]:
    """Compare every instance of a strategy, or those of one account or symbol.

    Only decisions of the parameters in force are compared: each with a run over the very bars its memory was made
    from, or, where the strategy looks at books, decided again from what it was recorded to have seen. Results are
    compared where a strategy is alone on its symbol or has shares in the plans.

    Raises
    ------
    NotFound : code UNKNOWN_STRATEGY; nothing of that name runs there.  ApplicationError : code NO_DECISIONS.
    """
    rows = StrategyInstance.objects.select_related("strategy", "account", "instrument").filter(
        strategy__name=strategy
    )
    if account is not None:
        rows = rows.filter(account__name=account)
    if symbol is not None:
        rows = rows.filter(instrument__symbol=symbol)
    found = list(rows.order_by("account__name", "instrument__symbol"))
    if not found:
        raise NotFound("UNKNOWN_STRATEGY", f"no instance of {strategy!r} runs there")
    told: list[ParityReport] = []
    for row in found:
        compared = steps_compared if steps_at_books(row) else bars_compared
        report = compared(row, start, end, fee_bps)
        if report is not None:
            told.append(report)
    if not told:
        raise ApplicationError("NO_DECISIONS", f"{strategy} has decided nothing in that time")
    return told
