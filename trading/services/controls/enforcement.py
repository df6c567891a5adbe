"""Making the exchange follow a kill: cancel what is open in the scope until nothing is, seen twice.

Every step is safe to repeat and to run in two processes at once: the control worker and the watchdog each do it
with a key of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading.domain.errors import IllegalTransition, InvariantViolation, VenueError, VenueRejected
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue, OrderReport
from trading.domain.values import Level, Side
from trading.models import Account, KillEnforcement, Order, TradingState
from trading.services.adoption import order_of_report
from trading.services.execution.release import order_release
from trading.services.execution.resolve import report_trades
from trading.services.execution.settle import order_settle

_IN_DOUBT = (OrderStatus.SENDING, OrderStatus.UNKNOWN)
_REREAD_AFTER = timedelta(seconds=1)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """One scope whose present level the exchange has not confirmed yet."""

    scope: str
    level: Level
    version: int


def enforcements_due(account: Account, enforcer: str) -> list[Due]:
    """Scopes at a level that cancels, not confirmed at their present version by this enforcer."""
    states = TradingState.objects.filter(level__in=(Level.REDUCING, Level.CANCEL, Level.FLATTEN))
    confirmed = set(
        KillEnforcement.objects.filter(
            account=account, enforcer=enforcer, confirmed_at__isnull=False
        ).values_list("scope", "state_version")
    )
    return [
        Due(state.scope, Level(state.level), state.version)
        for state in states
        if (state.scope, state.version) not in confirmed
    ]


def enforcement_step(*, account: Account, venue: ExecutionVenue, due: Due, enforcer: str) -> KillEnforcement:
    """One round: release what was not sent, cancel what is open, look again, write down what was seen."""
    row, _ = KillEnforcement.objects.get_or_create(
        scope=due.scope,
        account=account,
        enforcer=enforcer,
        state_version=due.version,
        defaults={"started_at": now()},
    )
    for order in _of_scope(Order.objects.filter(account=account, status=OrderStatus.RESERVED), due):
        if due.level > Level.REDUCING or order.side == Side.BUY:
            order_release(
                order_id=order.pk, code="TRADING_HALTED", message=f"{due.scope} is at {due.level.name}"
            )
    # Counted before the list is read: what was sent by then is in the list, and nothing more can be sent.
    in_doubt = _of_scope(Order.objects.filter(account=account, status__in=_IN_DOUBT), due).count()
    if in_doubt and row.empty_reads >= 2 and row.unknown_remaining == in_doubt and _read_lately(row):
        return row  # only the doubt is left, and reading the list as fast as we can would use up the venue's weight
    try:
        found = _open_at_venue(account, venue, due)
        failures = [failure for report in found if (failure := _cancel(account, venue, report))]
        row.cancel_requested += len(found)
        remaining = _open_at_venue(account, venue, due) if found else []
        row.error = "; ".join(failures)[:500]
    except VenueError as error:
        row.error = str(error)[:500]
        row.empty_reads = 0
        row.save()
        return row
    row.open_orders_remaining = len(remaining)
    row.unknown_remaining = in_doubt
    in_a_row = 0 if found else row.empty_reads
    row.empty_reads = in_a_row + 1 if not remaining else 0
    row.read_at = now()
    # An order authorised just before the kill may still land, so an empty list alone proves nothing.
    if row.empty_reads >= 2 and in_doubt == 0 and row.confirmed_at is None:
        row.confirmed_at = now()
    row.save()
    with transaction.atomic():
        publish(
            "trading_state",
            {
                "scope": due.scope,
                "account": account.name,
                "enforcer": enforcer,
                "cancel_requested": row.cancel_requested,
                "open_orders_remaining": row.open_orders_remaining,
                "unknown_remaining": row.unknown_remaining,
                "confirmed": row.confirmed_at is not None,
            },
        )
    return row


def _open_at_venue(account: Account, venue: ExecutionVenue, due: Due) -> list[OrderReport]:
    """The venue's open orders that lie in the scope; at REDUCING only those that add risk (spot: buys)."""
    kind, _, rest = due.scope.partition(":")
    if (kind == "account" and rest != account.name) or (kind == "venue" and rest != account.venue.name):
        return []
    symbol = rest if kind == "symbol" else rest.rpartition(":")[2] if kind == "strategy_symbol" else None
    reports = venue.open_orders(symbol)
    if kind in ("strategy", "strategy_symbol", "model"):
        ours = {
            o.client_order_id for o in _of_scope(Order.objects.filter(account=account), due, open_only=True)
        }
        reports = [report for report in reports if report.client_order_id in ours]
    if due.level is Level.REDUCING:
        reports = [report for report in reports if report.side is Side.BUY]
    return reports


def _of_scope(orders, due: Due, *, open_only: bool = False):  # type: ignore[no-untyped-def]
    """Narrow a queryset of orders to a scope."""
    kind, _, rest = due.scope.partition(":")
    if open_only:
        orders = orders.filter(ended_at=None)
    if kind == "account":
        orders = orders.filter(account__name=rest)
    elif kind == "venue":
        orders = orders.filter(account__venue__name=rest)
    elif kind == "symbol":
        orders = orders.filter(instrument__symbol=rest)
    elif kind == "strategy":
        orders = orders.filter(strategy__name=rest)
    elif kind == "strategy_symbol":
        strategy, _, symbol = rest.rpartition(":")
        orders = orders.filter(strategy__name=strategy, instrument__symbol=symbol)
    elif kind == "model":
        orders = orders.none()  # no order carries a model before the model registry arrives
    return orders


def _read_lately(row: KillEnforcement) -> bool:
    return row.read_at is not None and now() - row.read_at < _REREAD_AFTER


def _cancel(account: Account, venue: ExecutionVenue, report: OrderReport) -> str | None:
    """Cancel one order and book what came of it; what went wrong, where it must not stop the other cancels.

    Raises
    ------
    VenueUnavailable, OutcomeUnknown : the venue cannot be reached at all.
    """
    try:
        answer = venue.cancel(report.symbol, client_order_id=report.client_order_id)
        order = order_of_report(account, report)
        if answer is not None and order is not None:
            trades = report_trades(order, answer, venue)
            order_settle(order_id=order.pk, report=answer, trades=trades, source="cancel")
    except (VenueRejected, InvariantViolation, IllegalTransition) as error:
        log.error("kill_cancel_failed", client_order_id=report.client_order_id, error=str(error))
        return f"{report.client_order_id}: {error}"
    return None
