"""Making the exchange follow a kill: cancel what is open in the scope until nothing is, seen twice.

Every step is safe to repeat and to run in two processes at once: the control worker and the watchdog each do it
with a key of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, QuerySet, When

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading.domain.cancellation import orders_to_cancel
from trading.domain.errors import IllegalTransition, InvariantViolation, VenueError
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue, OrderReport, PositionReport
from trading.domain.values import Level, Market, PositionSide, Side
from trading.models import Account, KillEnforcement, Order, Position, TradingState
from trading.services.adoption import order_of_report
from trading.services.controls.venue_cancels import Canceled, cancel_everywhere
from trading.services.execution.release import order_release
from trading.services.execution.settle import order_settle
from trading.services.execution.trades import report_trades

_IN_DOUBT = (OrderStatus.SENDING, OrderStatus.UNKNOWN)
_REREAD_AFTER = timedelta(seconds=1)
# In these a symbol's orders may all be canceled by one call; in narrower ones that could hit somebody else's.
_WHOLE_SYMBOLS = ("global", "venue", "account", "symbol")
log = structlog.get_logger(__name__)

Connect = Callable[[], ExecutionVenue]


@dataclass(frozen=True, slots=True)
class Due:
    """One scope whose present level the exchange has not confirmed yet."""

    scope: str
    level: Level
    version: int
    include_stops: bool = False


def enforcements_due(account: Account, enforcer: str) -> list[Due]:
    """Scopes at a level that cancels, not confirmed at their present version by this enforcer."""
    in_force = Case(
        When(auto_level__gt=F("level"), then=F("auto_level")),
        default=F("level"),
        output_field=IntegerField(),
    )
    states = TradingState.objects.annotate(in_force=in_force).filter(
        in_force__in=(Level.REDUCING, Level.CANCEL, Level.FLATTEN)
    )
    confirmed = set(
        KillEnforcement.objects.filter(
            account=account, enforcer=enforcer, confirmed_at__isnull=False
        ).values_list("scope", "state_version")
    )
    return [
        Due(state.scope, state.effective, state.version, state.include_stops)
        for state in states
        if (state.scope, state.version) not in confirmed
    ]


def enforcement_step(
    *,
    account: Account,
    venue: ExecutionVenue,
    due: Due,
    enforcer: str,
    connect: Connect | None = None,
) -> KillEnforcement:
    """One round: release what was not sent, cancel what is open, look again, write down what was seen.

    With `connect`, which makes a connection for the thread that calls it, symbols are canceled side by side.
    """
    row, _ = KillEnforcement.objects.get_or_create(
        scope=due.scope,
        account=account,
        enforcer=enforcer,
        state_version=due.version,
        defaults={"started_at": now()},
    )
    _release_unsent(account, due)
    # Counted before the list is read: what was sent by then is in the list, and nothing more can be sent.
    in_doubt = list(
        orders_of_scope(Order.objects.filter(account=account, status__in=_IN_DOUBT), due.scope).values_list(
            "instrument__symbol", flat=True
        )
    )
    if in_doubt and row.empty_reads >= 2 and row.unknown_remaining == len(in_doubt) and _read_lately(row):
        return row  # only the doubt is left, and reading the list as fast as we can would use up the venue's weight
    try:
        listed = _in_scope(account, venue, due)
        found = _to_cancel(account, venue, due, listed)
        failures = _cancel(account, venue, due, listed, found, set(in_doubt), connect)
        row.cancel_requested += len(found)
        if found:
            listed = _in_scope(account, venue, due)
        remaining = _to_cancel(account, venue, due, listed) if found else []
        row.error = "; ".join(failures)[:500]
    except VenueError as error:
        row.error = str(error)[:500]
        row.empty_reads = 0
        row.save()
        return row
    row.open_orders_remaining = len(remaining)
    row.kept = len(listed) - len(remaining)
    row.unknown_remaining = len(in_doubt)
    in_a_row = 0 if found else row.empty_reads
    row.empty_reads = in_a_row + 1 if not remaining else 0
    row.read_at = now()
    # An order authorised just before the kill may still land, so an empty list alone proves nothing.
    if row.empty_reads >= 2 and not in_doubt and row.confirmed_at is None:
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
                "kept": row.kept,
                "unknown_remaining": row.unknown_remaining,
                "confirmed": row.confirmed_at is not None,
            },
        )
    return row


def _release_unsent(account: Account, due: Due) -> None:
    waiting = orders_of_scope(Order.objects.filter(account=account, status=OrderStatus.RESERVED), due.scope)
    for order in waiting.select_related("instrument"):
        if due.level > Level.REDUCING or _adds_risk(order):
            order_release(
                order_id=order.pk, code="TRADING_HALTED", message=f"{due.scope} is at {due.level.name}"
            )


def _adds_risk(order: Order) -> bool:
    """Whether an unsent order clearly opens or grows a position; what may be either is judged when it is sent."""
    if order.instrument.market == Market.spot:
        return order.side == Side.BUY
    if order.reduce_only or order.close_position:
        return False
    held = Position.objects.filter(
        account_id=order.account_id, instrument_id=order.instrument_id, position_side=order.position_side
    ).first()
    return held is None or held.quantity * Side(order.side).sign >= 0


def _in_scope(account: Account, venue: ExecutionVenue, due: Due) -> list[OrderReport]:
    """The venue's open orders that lie in the scope: of USD-M those of both of its order services."""
    kind, _, rest = due.scope.partition(":")
    if (kind == "account" and rest != account.name) or (kind == "venue" and rest != account.venue.name):
        return []
    symbol = rest if kind == "symbol" else rest.rpartition(":")[2] if kind == "strategy_symbol" else None
    reports = venue.open_orders(symbol)
    if kind in _WHOLE_SYMBOLS:
        return reports
    open_rows = orders_of_scope(Order.objects.filter(account=account, ended_at=None), due.scope)
    ours = set(open_rows.values_list("client_order_id", flat=True))
    return [report for report in reports if report.client_order_id in ours]


def _to_cancel(
    account: Account, venue: ExecutionVenue, due: Due, listed: list[OrderReport]
) -> list[OrderReport]:
    if not listed:
        return []
    protective = Order.objects.filter(account=account, origin=Order.Origin.PROTECTION, ended_at=None)
    market = Market(account.market)
    needs_positions = due.level in (Level.REDUCING, Level.FLATTEN) and market is Market.usdm
    return orders_to_cancel(
        due.level,
        listed,
        market=market,
        include_stops=due.include_stops,
        protective_ids=frozenset(protective.values_list("client_order_id", flat=True)),
        positions=_positions(account, venue) if needs_positions else (),
    )


def _positions(account: Account, venue: ExecutionVenue) -> list[PositionReport]:
    """The venue's word on what is held; it decides which side adds risk."""
    reports: list[PositionReport] = venue.positions(None)  # type: ignore[attr-defined]  # USD-M only
    return [r for r in reports if account.hedge_mode or r.position_side is PositionSide.BOTH]


def orders_of_scope(orders: QuerySet[Order], scope: str) -> QuerySet[Order]:
    """Narrow a queryset of orders to a scope. A netted order lies in the scope of each decision behind it."""
    kind, _, rest = scope.partition(":")
    shares = "plan__shares__decision"
    if kind == "account":
        return orders.filter(account__name=rest)
    if kind == "venue":
        return orders.filter(account__venue__name=rest)
    if kind == "symbol":
        return orders.filter(instrument__symbol=rest)
    if kind == "model":
        return orders.filter(Q(model_version=rest) | Q(**{f"{shares}__model": rest})).distinct()
    if kind in ("strategy", "strategy_symbol"):
        strategy, _, symbol = rest.rpartition(":") if kind == "strategy_symbol" else (rest, "", "")
        behind = Q(strategy__name=strategy) | Q(**{f"{shares}__instance__strategy__name": strategy})
        orders = orders.filter(behind).distinct()
        return orders.filter(instrument__symbol=symbol) if symbol else orders
    return orders


def _read_lately(row: KillEnforcement) -> bool:
    return row.read_at is not None and now() - row.read_at < _REREAD_AFTER


def _cancel(
    account: Account,
    venue: ExecutionVenue,
    due: Due,
    listed: list[OrderReport],
    found: list[OrderReport],
    in_doubt: set[str],
    connect: Connect | None,
) -> list[str]:
    """Cancel at the venue, book what came of it; what went wrong, where it must not stop the other cancels.

    Raises
    ------
    VenueUnavailable, OutcomeUnknown : the venue cannot be reached at all.
    """
    whole: set[str] = set()
    if due.scope.partition(":")[0] in _WHOLE_SYMBOLS:
        kept = {r.symbol for r in listed} - {r.symbol for r in found}
        kept |= {r.symbol for r in listed if r not in found}
        # A protective order on its way would be caught by the one call that was meant for the others.
        whole = {r.symbol for r in found} - kept - (set() if due.include_stops else in_doubt)
    failures: list[str] = []
    for canceled in cancel_everywhere(venue, found, whole_symbols=whole, connect=connect):
        failure = canceled.failure or _book(account, venue, canceled)
        if failure:
            log.error("kill_cancel_failed", client_order_id=canceled.client_order_id, error=failure)
            failures.append(f"{canceled.client_order_id}: {failure}")
    return failures


def _book(account: Account, venue: ExecutionVenue, canceled: Canceled) -> str | None:
    if canceled.report is None:
        return None
    try:
        order = order_of_report(account, canceled.report)
        if order is not None:
            trades = report_trades(order, canceled.report, venue)
            order_settle(order_id=order.pk, report=canceled.report, trades=trades, source="cancel")
    except (InvariantViolation, IllegalTransition) as error:
        return str(error)
    return None
