"""Asking the venue for many cancels at once: a whole symbol by one call where that hits nothing else, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import connections

from trading.domain.errors import VenueError, VenueRejected
from trading.domain.ports import BulkCancelVenue, ExecutionVenue, OrderReport

AT_ONCE = 8
WORTH_ONE_CALL = 2


@dataclass(frozen=True, slots=True)
class Canceled:
    """What became of one cancel: the order as the venue has it now, or None and perhaps what went wrong."""

    client_order_id: str
    report: OrderReport | None
    failure: str | None = None


def cancel_everywhere(
    venue: ExecutionVenue,
    orders: Iterable[OrderReport],
    *,
    whole_symbols: Collection[str],
    connect: Callable[[], ExecutionVenue] | None,
) -> list[Canceled]:
    """Cancel orders, symbol by symbol. A refusal is told of one order and stops no other.

    Parameters
    ----------
    whole_symbols : where every open order is to go, so that one call may take them all.
    connect : a connection for the calling thread; without it everything goes one after the other over `venue`.

    Raises
    ------
    VenueUnavailable, OutcomeUnknown : the venue cannot be reached; what was reached before it stays canceled.
    """
    by_symbol: defaultdict[str, list[OrderReport]] = defaultdict(list)
    for order in orders:
        by_symbol[order.symbol].append(order)
    jobs = [(symbol, found, symbol in whole_symbols) for symbol, found in by_symbol.items()]
    if connect is None or len(jobs) < 2:
        outcomes = [_cancel_symbol(venue, *job) for job in jobs]
    else:
        with ThreadPoolExecutor(min(AT_ONCE, len(jobs)), thread_name_prefix="kill") as pool:
            futures = [pool.submit(_in_thread, connect, *job) for job in jobs]
        # Every symbol has had its turn before the first failure is told.
        outcomes = [future.result() for future in futures]
    return [canceled for outcome in outcomes for canceled in outcome]


def _in_thread(
    connect: Callable[[], ExecutionVenue], symbol: str, orders: list[OrderReport], whole: bool
) -> list[Canceled]:
    try:
        return _cancel_symbol(connect(), symbol, orders, whole)
    finally:
        connections.close_all()


def _cancel_symbol(
    venue: ExecutionVenue, symbol: str, orders: list[OrderReport], whole: bool
) -> list[Canceled]:
    told: dict[str, OrderReport] = {}
    taken = False
    if whole and len(orders) >= WORTH_ONE_CALL and isinstance(venue, BulkCancelVenue):
        try:
            told = {report.client_order_id: report for report in venue.cancel_all(symbol)}
            taken = True
        except VenueRejected:
            taken = False  # one after the other, then: each says for itself what is wrong with it
    return [_outcome(venue, symbol, order, told, taken) for order in orders]


def _outcome(
    venue: ExecutionVenue, symbol: str, order: OrderReport, told: dict[str, OrderReport], taken: bool
) -> Canceled:
    name = order.client_order_id
    try:
        report = told.get(name)
        if report is None and taken:
            report = venue.query(symbol, client_order_id=name)
        elif report is None:
            report = venue.cancel(symbol, client_order_id=name)
    except VenueRejected as error:
        return Canceled(name, None, str(error))
    except VenueError as error:
        if not taken:
            raise
        # The cancel went out; only what it did is not known yet, and the next look will tell.
        return Canceled(name, None, str(error))
    return Canceled(name, report)
