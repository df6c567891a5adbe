"""Closing positions of a scope at FLATTEN: after every cancel is confirmed, in slices, inside the market collar.

USD-M closes what the venue itself holds, long or short, each side of hedge mode for itself. Spot sells only what the
platform acquired, and never more than the venue says is there. The scope of a strategy or a model closes only its own
part. Protection stays until its position is closed on USD-M, and on spot until the coins it holds are to be sold. A
slice that closes nothing is tried again a few times, ever later; then the position is left as it is and people are
told. Nothing here loops at the venue.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.cancellation import is_protective
from trading.domain.orders import OrderIntent, OrderStatus, client_order_id
from trading.domain.ports import ExecutionVenue
from trading.domain.refusals import BPS, collared_ticks
from trading.domain.values import Level, Market, OrderType, PositionSide, Side, TimeInForce, decimal_text
from trading.models import Account, Flatten, KillEnforcement, Order, Strategy, TradingState
from trading.services.adoption import order_of_report
from trading.services.controls.limits_in_force import limit_values
from trading.services.execution.cancel import order_cancel
from trading.services.execution.drain import orders_drain
from trading.services.holdings import Held, Holding, holdings, own_part, strategy_of
from trading.services.market import market_of
from trading.services.orders.submission import Submission
from trading.services.orders.submit import order_submit
from universe.models import Instrument

log = structlog.get_logger(__name__)

MAXIMUM_FAILURES = 5
FIRST_RETRY = timedelta(seconds=1)
# Of the largest order: the collared price of a market order is beyond the touch it was sized by.
SLICE_SHARE = Decimal("0.95")


def flatten_step(*, account: Account, venue: ExecutionVenue) -> int:
    """Send at most one slice per position that is to be closed. Returns how many positions are still being closed."""
    working = 0
    for state in TradingState.objects.filter(level=Level.FLATTEN):
        if not _covers(state.scope, account) or not _cancels_confirmed(state, account):
            continue
        at_venue = holdings(account, venue)
        for row in _rows(state, account, at_venue):
            working += _advance(row, state, account, venue, at_venue)
    return working


def _covers(scope: str, account: Account) -> bool:
    kind, _, rest = scope.partition(":")
    if kind == "account":
        return rest == account.name
    if kind == "venue":
        return rest == account.venue.name
    return True


def _cancels_confirmed(state: TradingState, account: Account) -> bool:
    """Working orders may still trade: what is to be closed is known only when none is left."""
    return KillEnforcement.objects.filter(
        scope=state.scope, account=account, state_version=state.version, confirmed_at__isnull=False
    ).exists()


def _rows(state: TradingState, account: Account, at_venue: dict[Held, Holding]) -> list[Flatten]:
    """The positions this level closes, noted down when it is first seen; finished ones are left out."""
    known = Flatten.objects.filter(scope=state.scope, account=account, state_version=state.version)
    if not known.exists():
        for (symbol, position_side), holding in sorted(at_venue.items()):
            instrument = Instrument.objects.filter(venue=account.venue, symbol=symbol).first()
            if instrument is None or not _symbol_matches(state.scope, symbol):
                continue
            wanted = min(
                abs(holding.quantity), abs(own_part(state.scope, account, instrument, position_side, holding))
            )
            if wanted > 0:
                Flatten.objects.get_or_create(
                    scope=state.scope,
                    account=account,
                    instrument=instrument,
                    position_side=position_side,
                    state_version=state.version,
                    defaults={
                        "wanted": wanted,
                        "side": Side.SELL if holding.quantity > 0 else Side.BUY,
                        "started_at": now(),
                    },
                )
    return list(known.filter(status=Flatten.Status.WORKING).select_related("instrument"))


def _symbol_matches(scope: str, symbol: str) -> bool:
    kind, _, rest = scope.partition(":")
    if kind == "symbol":
        return rest == symbol
    return kind != "strategy_symbol" or rest.rpartition(":")[2] == symbol


def _advance(
    row: Flatten,
    state: TradingState,
    account: Account,
    venue: ExecutionVenue,
    at_venue: dict[Held, Holding],
) -> int:
    """One look at one position: count the last slice, then end it or send the next. 1 while it is not over."""
    if not _counted(row, venue):
        return 1  # its outcome is not known yet; two slices at a time could sell more than there is
    if row.failures >= MAXIMUM_FAILURES:
        _finish(row, Flatten.Status.STOPPED, f"{row.failures} slices in a row closed nothing: {row.note}")
        return 0
    if row.retry_at is not None and now() < row.retry_at:
        return 1
    left = max(row.wanted - row.closed, Decimal(0))
    holding = at_venue.get((row.instrument.symbol, row.position_side), Holding(Decimal(0), Decimal(0)))
    # What is left at the venue stands on the side that this closes, or there is nothing to close any more.
    open_there = abs(holding.quantity) if holding.closing_side == row.side else Decimal(0)
    if min(left, open_there) > holding.free and _unprotect(row, account, venue):
        return 1  # the coins a protective order held are free at the next look
    quantity = min(left, open_there, holding.free)
    steps = _slice_steps(row, account, quantity)
    if steps == 0:
        if open_there == 0 and row.instrument.market == Market.usdm:
            _orphans_cancel(row, account, venue)
        note = f"{decimal_text(quantity)} left, less than the venue trades" if quantity else ""
        _finish(row, Flatten.Status.DONE, note)
        return 0
    row.slices += 1
    row.save(update_fields=["slices"])
    _send(row, state, account, steps)
    return 1


def _unprotect(row: Flatten, account: Account, venue: ExecutionVenue) -> bool:
    """Take back the protective orders of a position that hold what is to be sold. True when there were any."""
    orders = Order.objects.filter(
        account=account,
        instrument_id=row.instrument_id,
        position_side=row.position_side,
        origin=Order.Origin.PROTECTION,
        status__in=(OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED),
    )
    found = list(orders.values_list("pk", flat=True))
    for order_id in found:
        order_cancel(order_id=order_id, venue=venue)
    return bool(found)


def _orphans_cancel(row: Flatten, account: Account, venue: ExecutionVenue) -> None:
    """Take back what protected a position that is closed now, whoever placed it: until here it stood guard.

    Raises
    ------
    VenueError : as the venue; the position stays `working`, and the next look tries again.
    """
    for report in venue.open_orders(row.instrument.symbol):
        if report.position_side != row.position_side or report.side != row.side:
            continue
        if not is_protective(report, Market.usdm):
            continue
        order = order_of_report(account, report)
        if order is not None:
            order_cancel(order_id=order.pk, venue=venue)
        else:
            venue.cancel(report.symbol, client_order_id=report.client_order_id)


def _counted(row: Flatten, venue: ExecutionVenue) -> bool:
    """Book what the last slice did, once; False while the venue's word on it is out."""
    if row.slices == row.counted:
        return True
    order = Order.objects.filter(intent_key=_key(row, row.slices)).first()
    if order is not None and order.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
        # It is over at the venue already; asked here, because closing must not wait for a stream that may be down.
        order_cancel(order_id=order.pk, venue=venue)
        order.refresh_from_db()
    if order is not None and order.ended_at is None:
        return False
    row.counted = row.slices
    executed = order.executed_quantity if order is not None else Decimal(0)
    row.closed += executed
    if executed > 0:
        row.failures, row.retry_at, row.note = 0, None, ""
    else:
        row.failures += 1
        row.retry_at = now() + FIRST_RETRY * 2 ** (row.failures - 1)
        row.note = (order.code or order.status) if order is not None else "NOT_READY"
    row.save()
    return True


def _slice_steps(row: Flatten, account: Account, quantity: Decimal) -> int:
    """Steps of the next slice: what is left, cut to the largest order; 0 when the venue takes no order so small.

    Never cut below what the venue takes: where our own limit is smaller than that the rail says so, and people are told
    that the position is not closed. A limit somebody tightened to nothing is no reason to call it done.
    """
    domain = row.instrument.to_domain()
    market = market_of(row.instrument)
    steps = domain.floor_steps(max(quantity, Decimal(0)))
    price = market.bid if row.side == Side.SELL else market.ask
    if not price:
        return steps  # the router refuses for want of a price, and the refusal counts as a failure
    values, _ = limit_values(["global", f"account:{account.name}", f"symbol:{row.instrument.symbol}"])
    largest = domain.floor_steps(min(values["max_notional"] * SLICE_SHARE / price, values["max_quantity"]))
    # USD-M takes a reducing order of any value; spot judges it by its limit, which is the touch less the collar.
    worth = domain.min_notional if row.instrument.market == Market.spot else Decimal(0)
    collar = min(int(values["market_slippage"]), BPS - 1)
    limit = domain.price(collared_ticks(domain, Side(row.side), price, collar))
    least = max(domain.min_quantity, worth / limit if limit > 0 else domain.min_quantity)
    smallest = domain.floor_steps(least)
    smallest += domain.quantity(smallest) < least
    return min(steps, max(largest, smallest)) if steps >= smallest else 0


def _send(row: Flatten, state: TradingState, account: Account, steps: int) -> None:
    """Reserve and send one slice. What became of it is counted at the next look, from its row."""
    strategy_name = strategy_of(row.scope)
    key = _key(row, row.slices)
    submission = Submission(
        account=account,
        instrument=row.instrument,
        intent=OrderIntent(
            symbol=row.instrument.symbol,
            side=Side(row.side),
            type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            quantity=steps,
            price=None,
            reduce_only=True,
            position_side=PositionSide(row.position_side),
            reason=f"{row.scope} is at FLATTEN: {state.reason}"[:200],
        ),
        origin=Order.Origin.FLATTEN,
        intent_key=key,
        client_order_id=client_order_id(settings.BINANCE_ENV, account.name, "flatten", key, 0, 0),
        decided_at=now(),
        strategy=Strategy.objects.get(name=strategy_name) if strategy_name else None,
    )
    try:
        order = order_submit(submission)
    except ApplicationError as refusal:
        # A denial has written its row; anything else leaves none. Either way the slice has closed nothing.
        log.warning("flatten_slice_refused", symbol=row.instrument.symbol, code=refusal.code)
        return
    # Sent from here as well: closing must not wait for trading workers that may be what has failed.
    orders_drain(account_id=account.pk, shard=order.shard)


def _key(row: Flatten, number: int) -> str:
    return f"flatten:{row.pk}:{number}"


@transaction.atomic
def _finish(row: Flatten, status: Flatten.Status, note: str) -> None:
    row.status, row.note, row.finished_at = status, note, now()
    row.save()
    audit_record(
        action=f"flatten.{status}",
        target=f"{row.scope}:{row.account.name}:{row.instrument.symbol}",
        actor="flattener",
        reason=note,
        after={"wanted": decimal_text(row.wanted), "closed": decimal_text(row.closed), "slices": row.slices},
    )
    publish("trading_state", flatten_members(row))
    if status is Flatten.Status.STOPPED:
        publish("incidents", {"kind": "flatten_stopped", **flatten_members(row)})
        metrics.FLATTEN_STOPPED.inc()
        log.error("flatten_stopped", scope=row.scope, symbol=row.instrument.symbol, note=note)


def flatten_members(row: Flatten) -> dict[str, object]:
    """One position being closed, as the API, the page and the event show it."""
    return {
        "scope": row.scope,
        "account": row.account.name,
        "symbol": row.instrument.symbol,
        "side": row.side,
        "position_side": row.position_side,
        "flatten": row.status,
        "wanted": decimal_text(row.wanted),
        "closed": decimal_text(row.closed),
        "note": row.note,
    }


def flatten_report(scope: str) -> list[dict[str, object]]:
    """Every position of a scope's present level, with how far its closing has got."""
    state = TradingState.objects.filter(scope=scope).first()
    if state is None:
        return []
    rows = Flatten.objects.filter(scope=scope, state_version=state.version)
    return [flatten_members(row) for row in rows.select_related("account", "instrument").order_by("pk")]
