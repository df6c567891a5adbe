"""What of the last minute's orders, and of what is carried, counts against the next order of a strategy alone.

In the subset numba compiles; `account.Account.use` does the same for several strategies and instruments.
"""

from __future__ import annotations

from typing import Any, Final

from trading.domain.backtest.arithmetic import NO_LIMIT
from trading.domain.backtest.limits import LimitTable, Use
from trading.domain.backtest.losses import LOST_NS, NEVER, PEAK, STREAK, fallen, lost_today

MINUTE_NS: Final = 60_000_000_000


def nearly(signed: int, ticks: int, before: int, before_ticks: int) -> bool:
    """Tell whether an order is nearly an earlier one: same side, quantity within 1 %, price within 0.1 %.

    Parameters
    ----------
    signed, before : steps.  ticks : limits.
    """
    return (
        (signed > 0) == (before > 0)
        and abs(signed - before) * 100 <= abs(signed)
        and abs(ticks - before_ticks) * 1_000 <= ticks
    )


def single_use(
    limits: LimitTable,
    recent: Any,
    sent: int,
    now_ns: int,
    signed: int,
    limit: int,
    position: int,
    carried: int,
    sends: int,
    equity: int,
    account: Any,
    strategy: Any,
    off: int,
) -> Use:
    """Return what an order finds in use where one strategy trades one instrument.

    Parameters
    ----------
    recent : (R, 3), a ring of (time, signed steps, limit) of the orders that went out; R is at least the largest
        number of them that may be of the last minute.  sent : how many went out in all.
    signed, limit, sends : of the order; see `Use`.  carried : quote units.
    equity : at the price of now.  account, strategy : their measures.
    """
    room = len(recent)
    count, executions, near, at = 0, 0, NO_LIMIT, sent - 1
    while at >= 0 and sent - at <= room and recent[at % room, 0] > now_ns - MINUTE_NS:
        row = at % room
        count += 1
        if (recent[row, 1] > 0) == (signed > 0):
            executions += 1
            # What went out for this same decision comes last, and repeats nothing.
            alike = nearly(signed, limit, recent[row, 1], recent[row, 2])
            if near == NO_LIMIT and at < sent - sends and alike:
                near = now_ns - recent[row, 0]
        at -= 1
    net = carried if position > 0 else -carried
    loss, own_loss, drawdown, own_drawdown, streak, loss_age = 0, 0, 0, 0, 0, NO_LIMIT
    if limits.measured == 1:
        loss, own_loss = lost_today(account), lost_today(strategy)
        drawdown = fallen(account, account[PEAK])
        own_drawdown = fallen(strategy, limits.capital)
        streak = strategy[STREAK]
        if strategy[LOST_NS] != NEVER:
            loss_age = now_ns - strategy[LOST_NS]
    return Use(
        off, 0, 0,
        carried, carried, carried, carried, carried, carried,
        net, 0, 0, net, 0, 0,
        0, 0, count, count, executions, near, 0, sends,
        equity, 0, 0,
        loss, own_loss, drawdown, own_drawdown, streak, loss_age,
    )  # fmt: skip
