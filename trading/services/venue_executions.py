"""Executions told by the user stream, settled together: a symbol's messages in one transaction, in order of arrival.

Settling is the same as for one message (`execution.settle`), so its locks are: orders, position, balances, caps of one
symbol. That is why a batch of an account is one transaction for each symbol and not one for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import structlog
from django.db import DataError, IntegrityError, connection, transaction

from nautilus_site.common.clock import now
from trading.adapters.binance.parse import parse_execution_report
from trading.adapters.binance.parse_usdm_events import parse_algo_update, parse_order_update
from trading.domain.errors import DomainError
from trading.domain.orders import OrderStatus, is_terminal
from trading.domain.ports import OrderReport
from trading.domain.values import OrderService
from trading.models import Account
from trading.services.adoption import report_settle
from trading.services.execution.settle import Settlement, orders_settle

log = structlog.get_logger(__name__)

EXECUTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], OrderReport]]] = MappingProxyType(
    {
        "executionReport": parse_execution_report,
        "ORDER_TRADE_UPDATE": parse_order_update,
        "ALGO_UPDATE": parse_algo_update,
    }
)
UNSETTLED: Final = (
    DomainError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    DataError,
    IntegrityError,
)
"""What one message may raise without holding up the others; the sweep will tell what it meant."""
_SOURCE: Final = "stream"

_CANDIDATES: Final = """
SELECT o.id, i.symbol, o.venue_order_id, o.algo_id, o.client_order_id, o.service, o.status, o.reported_status
  FROM trading_order AS o JOIN universe_instrument AS i ON i.id = o.instrument_id
 WHERE o.id IN (
    SELECT id FROM trading_order
     WHERE account_id = %(account)s AND client_order_id = ANY(%(client_ids)s::text[])
     UNION
    SELECT sent.id FROM unnest(%(symbols)s::text[], %(venue_ids)s::bigint[]) AS told (symbol, venue_order_id)
      JOIN universe_instrument AS traded ON traded.venue_id = %(venue)s AND traded.symbol = told.symbol
      JOIN trading_order AS sent ON sent.account_id = %(account)s AND sent.instrument_id = traded.id
                                AND sent.venue_order_id = told.venue_order_id
     UNION
    SELECT id FROM trading_order WHERE account_id = %(account)s AND algo_id = ANY(%(algo_ids)s::bigint[]))
 ORDER BY o.id DESC
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One message of the journal about one order."""

    event_id: int
    report: OrderReport


@dataclass(slots=True)
class _Row:
    """What identifies an order of ours, with what the messages before have taught about it."""

    pk: int
    symbol: str
    venue_order_id: int | None
    algo_id: int | None
    client_order_id: str
    service: str
    status: str
    reported_status: str


@dataclass(slots=True)
class _Known:
    """Our orders that some reports may be about."""

    rows: list[_Row] = field(default_factory=list)

    def of(self, report: OrderReport) -> _Row | None:
        """As `adoption.order_of_report`: the venue's own id, else ours where the row has no other venue id."""
        same = [row for row in self.rows if row.symbol == report.symbol]
        found = None
        if report.venue_order_id:
            found = next((row for row in same if row.venue_order_id == report.venue_order_id), None)
        ours = [row for row in same if row.client_order_id == report.client_order_id]
        if found is None and report.algo_id is not None:
            found = next((row for row in same if row.algo_id == report.algo_id), None) or next(
                (row for row in ours if row.service == OrderService.ALGO and row.algo_id is None), None
            )
        return found or next((row for row in ours if row.venue_order_id is None), None)

    def learn(self, row: _Row, report: OrderReport) -> None:
        """What settling will write onto the row: a later message under the same name may be about another order."""
        if row.venue_order_id is None and report.venue_order_id > 0:
            row.venue_order_id = report.venue_order_id
        if row.algo_id is None and report.algo_id is not None:
            row.algo_id = report.algo_id


def executions_settle(account: Account, told: Sequence[Told]) -> None:
    """Settle messages in the order given, and mark each as settled with what it changed.

    One that cannot be settled keeps its error and stops no other. One about an order that is not ours is settled by
    itself, once those before it are.
    """
    waiting = list(told)
    while waiting:
        known = _known(account, [one.report for one in waiting])
        groups: defaultdict[str, list[tuple[Told, int]]] = defaultdict(list)
        over: list[int] = []
        stranger: Told | None = None
        taken = 0
        for one in waiting:
            row = known.of(one.report)
            taken += 1
            if row is None:
                stranger = one
                break
            if is_terminal(OrderStatus(row.status)) and not one.report.fills and row.reported_status:
                over.append(one.event_id)
                continue
            known.learn(row, one.report)
            groups[row.symbol].append((one, row.pk))
        for _, group in sorted(groups.items()):
            _settle(group)
        events_settled(over)
        if stranger is not None:
            _adopt(account, stranger)
        waiting = waiting[taken:]


def _settle(group: Sequence[tuple[Told, int]]) -> None:
    """One symbol's messages in one transaction; where it fails, in halves, until what cannot be settled is alone."""
    try:
        with transaction.atomic():
            orders_settle(
                [Settlement(order_id, one.report, one.report.fills, _SOURCE) for one, order_id in group]
            )
            events_settled(one.event_id for one, _ in group)
    except UNSETTLED as failure:
        if len(group) == 1:
            event_failed(group[0][0].event_id, failure)
            return
        half = len(group) // 2
        _settle(group[:half])
        _settle(group[half:])


def _adopt(account: Account, one: Told) -> None:
    try:
        with transaction.atomic():
            report_settle(account=account, report=one.report, source=_SOURCE)
            events_settled([one.event_id])
    except UNSETTLED as failure:
        event_failed(one.event_id, failure)


def _known(account: Account, reports: Sequence[OrderReport]) -> _Known:
    at_venue = [report for report in reports if report.venue_order_id]
    parameters: dict[str, Any] = {
        "account": account.pk,
        "venue": account.venue_id,
        "client_ids": sorted({report.client_order_id for report in reports}),
        "symbols": [report.symbol for report in at_venue],
        "venue_ids": [report.venue_order_id for report in at_venue],
        "algo_ids": sorted({report.algo_id for report in reports if report.algo_id is not None}),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, parameters)
        return _Known([_Row(*row) for row in cursor.fetchall()])


def events_settled(event_ids: Iterable[int]) -> None:
    """Mark messages as settled; call it in the transaction that settles them."""
    keys = list(event_ids)
    if keys:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE trading_venueevent SET settled_at = %s, error = '' WHERE id = ANY(%s::bigint[])",
                [now(), keys],
            )


def event_failed(event_id: int, failure: BaseException) -> None:
    """Keep a message that could not be settled, with why, and go on."""
    error = f"{type(failure).__name__}: {failure}"[:1000]
    log.error("venue_event_not_settled", event_id=event_id, error=error)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE trading_venueevent SET settled_at = %s, error = %s WHERE id = %s",
            [now(), error, event_id],
        )
