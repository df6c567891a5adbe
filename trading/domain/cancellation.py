"""Which open orders a kill level takes away, and which it leaves standing.

A protective order is a conditional one that can only shrink a position; CANCEL leaves it where it is, because
without it the position stands naked, and FLATTEN leaves it until the position is closed. REDUCING takes what adds
risk, which on USD-M depends on the position and not on the side: with a short open the buys are the way out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from trading.domain.ports import OrderReport, PositionReport
from trading.domain.values import Level, Market, OrderService, PositionSide, Side

_CONDITIONAL_TYPES = frozenset(
    {
        *("STOP_LOSS", "STOP_LOSS_LIMIT", "STOP", "STOP_MARKET", "STOP_LIMIT"),
        *("TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TAKE_PROFIT_LIMIT", "TRAILING_STOP_MARKET"),
    }
)
_CLOSING = frozenset({(PositionSide.LONG, Side.SELL), (PositionSide.SHORT, Side.BUY)})


def orders_to_cancel(
    level: Level,
    reports: Sequence[OrderReport],
    *,
    market: Market,
    include_stops: bool = False,
    protective_ids: Collection[str] = (),
    positions: Iterable[PositionReport] = (),
) -> list[OrderReport]:
    """Return what a level cancels of the venue's open orders.

    Parameters
    ----------
    protective_ids : client order ids we know to protect a position, whatever their type (a target is a plain limit).
    positions : of USD-M, as the venue tells them; of spot none are needed.
    """
    if level in (Level.CANCEL, Level.FLATTEN):
        if include_stops:
            return list(reports)
        kept = _protecting(reports, market, protective_ids)
        if level is Level.FLATTEN and market is Market.usdm:
            # The flattener takes protection back once its position is closed; what guards none is in nobody's way.
            open_ = {(p.symbol, p.position_side) for p in positions if p.quantity}
            kept = [r for r in kept if (r.symbol, r.position_side) in open_]
        return [r for r in reports if r not in kept]
    if level is Level.REDUCING:
        return _adding_risk(reports, market, positions)
    return []


def _protecting(
    reports: Sequence[OrderReport], market: Market, protective_ids: Collection[str]
) -> list[OrderReport]:
    lists = {r.venue_list_id for r in reports if r.venue_list_id and is_protective(r, market)}
    return [
        r
        for r in reports
        if r.client_order_id in protective_ids
        or is_protective(r, market)
        # The other leg of a protective list: canceling it would take the stop with it.
        or (r.venue_list_id in lists and only_reduces(r, market))
    ]


def is_protective(report: OrderReport, market: Market) -> bool:
    """Tell whether an order waits for a trigger and can then only shrink a position."""
    waits = report.service is OrderService.ALGO or bool(report.stop_price)
    return (waits or report.type in _CONDITIONAL_TYPES) and only_reduces(report, market)


def only_reduces(report: OrderReport, market: Market) -> bool:
    """Tell whether the venue itself keeps the order from opening or growing a position."""
    if market is Market.spot:
        return report.side is Side.SELL  # nothing can be sold there that is not held
    closes_all = report.service is OrderService.ALGO and report.quantity == 0
    return report.reduce_only or closes_all or (report.position_side, report.side) in _CLOSING


def _adding_risk(
    reports: Sequence[OrderReport], market: Market, positions: Iterable[PositionReport]
) -> list[OrderReport]:
    left: dict[tuple[str, Side], Decimal] = {}
    for position in positions:
        if position.position_side is PositionSide.BOTH and position.quantity:
            way_out = Side.SELL if position.quantity > 0 else Side.BUY
            left[position.symbol, way_out] = abs(position.quantity)
    adding: list[OrderReport] = []
    # Plain orders may take the position back to zero between them and no further; the oldest were there first, and
    # what still waits for its trigger comes last.
    for report in sorted(
        reports, key=lambda r: (r.service is OrderService.ALGO, r.time_ms, r.venue_order_id)
    ):
        if only_reduces(report, market):
            continue
        key = report.symbol, report.side
        open_quantity = report.quantity - report.executed_quantity
        if open_quantity <= left.get(key, Decimal(0)):
            left[key] -= open_quantity
        else:
            adding.append(report)
    return adding
