"""The books of one symbol while reports about it are settled: locked once, folded in memory, written back once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import structlog

from nautilus_site.common.clock import now
from trading import metrics
from trading.domain import portfolio
from trading.domain.carried import carried_split
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.errors import InvariantViolation
from trading.domain.orders import Fill as DomainFill
from trading.domain.ports import TradeReport
from trading.domain.reservation import Carried, Reservation, settle_fill
from trading.domain.subaccounts import Applied, Book, Flows, OwnedFill, difference, fold_book, merge
from trading.domain.values import Side, from_units, times_of, to_units
from trading.models import Account, Fill, Order, Position, SubPosition
from trading.services.books.history import history_before
from trading.services.execution.book_rows import book_of, fills_write, parts_read, position_write
from trading.services.execution.holds import Changes, hold_shrinks
from trading.services.execution.owners import order_shares
from trading.services.exposure import balances_locked, bucket_scopes, owner_buckets, positions_locked
from trading.services.ledger import Posting, flow_lines, ledger_write
from universe.models import Instrument, Quote

log = structlog.get_logger(__name__)
ZERO = Decimal(0)


class SymbolBooks:
    """Everything settling changes about one symbol of one account."""

    def __init__(self, account: Account, instrument: Instrument, orders: Mapping[int, Order]) -> None:
        self.account = account
        self.instrument = instrument
        self.domain = instrument.to_domain()
        self.orders = orders
        self.changes = Changes(account)
        self._positions: dict[str, Position] = {}
        self._parts: dict[str, dict[str, SubPosition]] = {}
        self._books: dict[str, Book] = {}
        self._held: dict[str, int] = {}
        self._fresh: dict[int, tuple[TradeReport, Order, str, OwnedFill]] = {}
        self._applied: dict[int, Applied] = {}
        self._postings: list[Posting] = []
        self._booked: list[Fill] = []
        self._afterwards: list[Callable[[], None]] = []
        self._rates: dict[str, Decimal] = {}
        self._split_over: set[str] = set()

    # -- locking -----------------------------------------------------------------------------

    def lock(self, fee_assets: Iterable[str] = ()) -> dict[str, Position]:
        """The positions of every side the orders are for, then the balances; locked once, in this order."""
        if not self._positions:
            sides = {order.position_side for order in self.orders.values()}
            self._positions = positions_locked(self.account, self.instrument, sides)
            self._held = {side: to_units(row.quantity) for side, row in self._positions.items()}
            assets = {
                *fee_assets,
                *(order.reserved_asset for order in self.orders.values() if order.reserved_amount),
            }
            if fee_assets or assets:
                assets |= {self.instrument.base_asset, self.instrument.quote_asset}
                balances_locked(self.account, {asset for asset in assets if asset})
        return self._positions

    def held(self, order: Order) -> int:
        """Signed base units of the order's position, with what was booked so far."""
        self.lock()
        return self._held[order.position_side]

    def then(self, action: Callable[[], None]) -> None:
        """Do something once everything is written."""
        self._afterwards.append(action)

    # -- folding -----------------------------------------------------------------------------

    def fold(self, told: Sequence[tuple[TradeReport, int, str]]) -> None:
        """Fold trades that are not booked yet, in ascending trade id, into positions and owners."""
        self.lock({trade.commission_asset for trade, _, _ in told})
        shares = order_shares([self.orders[order_id] for _, order_id, _ in told])
        by_side: defaultdict[str, list[OwnedFill]] = defaultdict(list)
        for trade, order_id, source in told:
            order = self.orders[order_id]
            fill = self._fill(trade, order)
            owned = OwnedFill(
                fill=fill,
                fee_value=portfolio.fee_value_units(fill, self.domain, self._rate(fill)),
                shares=shares[order_id],
                order=order_id,
                realized=None if trade.realized is None else to_units(trade.realized),
            )
            self._fresh[trade.trade_id] = (trade, order, source, owned)
            by_side[order.position_side].append(owned)
        for side, fills in by_side.items():
            self._fold_side(side, fills)

    def _fold_side(self, side: str, fills: list[OwnedFill]) -> None:
        position = self._positions[side]
        rows = parts_read(position)
        self._parts[side] = rows
        book = book_of(position, rows.values())
        over = any(len(owned.shares) > 1 and self.orders[owned.order].ended_at for owned in fills)
        if fills[0].fill.trade_id > book.last_trade_id and not over:
            for owned in fills:
                self._applied[owned.fill.trade_id] = book.apply(owned, self.domain)
        else:
            book = self._fold_late(position, fills)
        self._books[side] = book

    def _fold_late(self, position: Position, fills: list[OwnedFill]) -> Book:
        """A trade came after one the venue made later, or after its order's end: fold again in the venue's order.

        What that changes between owners is posted as a transaction of its own; the account's wallet is not touched.
        """
        start, history, transfers = history_before(position, self.domain, fills[0].fill.trade_id)
        was: Flows = {}
        fold_book(history, transfers, self.domain, start, was)
        book = start.copy()
        flows: Flows = {}
        fresh = {owned.fill.trade_id for owned in fills}
        waiting = sorted(transfers, key=lambda transfer: transfer.after_trade_id)
        booked: Flows = {}
        for owned in sorted([*history, *fills], key=lambda owned: owned.fill.trade_id):
            while waiting and waiting[0].after_trade_id < owned.fill.trade_id:
                merge(flows, book.transfer(waiting.pop(0), self.domain))
            applied = book.apply(owned, self.domain)
            merge(flows, applied.flows)
            if owned.fill.trade_id in fresh:
                self._applied[owned.fill.trade_id] = applied
                merge(booked, applied.flows)
        for transfer in waiting:
            merge(flows, book.transfer(transfer, self.domain))
        moved = difference(difference(flows, was), booked)
        if moved:
            name = f"refold:{self.instrument.symbol}:{position.position_side}:{fills[0].fill.trade_id}"
            self._postings.append(Posting(name, flow_lines(moved), now(), None, self.instrument))
        return book

    def _fill(self, trade: TradeReport, order: Order) -> DomainFill:
        return DomainFill(
            trade_id=trade.trade_id,
            symbol=self.domain.symbol,
            side=Side(order.side),
            # A liquidation need not be on the tick; the books go by the quote quantity.
            price=times_of(trade.price, self.domain.tick_size)[0],
            quantity=self.domain.steps(trade.quantity),
            quote=to_units(trade.quote_quantity),
            fee=to_units(trade.commission),
            fee_asset=trade.commission_asset,
            maker=trade.maker,
            time_ms=trade.time_ms,
        )

    def _rate(self, fill: DomainFill) -> Decimal | None:
        """What one unit of a third fee asset (BNB) is worth in quote currency now; zero when nobody knows."""
        quote_asset = self.instrument.quote_asset
        if fill.fee == 0 or fill.fee_asset == quote_asset or portfolio.fee_takes_base(fill, self.domain):
            return None
        if fill.fee_asset not in self._rates:
            quotes = Quote.objects.filter(
                instrument__symbol=f"{fill.fee_asset}{quote_asset}",
                bid__isnull=False,
                ask__isnull=False,
                instrument__venue__environment=self.account.venue.environment,
            ).select_related("instrument")
            # The venue's own price first; a futures account may pay in an asset whose price the spot venue tells.
            best = min(
                quotes, key=lambda quote: quote.instrument.venue_id != self.account.venue_id, default=None
            )
            if best is None or best.bid is None or best.ask is None:
                log.warning("commission_not_valued", asset=fill.fee_asset, trade_id=fill.trade_id)
                self._rates[fill.fee_asset] = ZERO
            else:
                self._rates[fill.fee_asset] = (best.bid + best.ask) / 2
        return self._rates[fill.fee_asset]

    # -- booking -----------------------------------------------------------------------------

    def is_fresh(self, trade_id: int, order_id: int) -> bool:
        """Whether a trade was folded just now and is not booked on its order yet."""
        found = self._fresh.get(trade_id)
        return found is not None and found[1].pk == order_id

    def book(self, trade_id: int) -> Fill:
        """Move one folded trade onto its order: executed quantity, holds, caps, the fill row and its ledger lines."""
        trade, order, source, owned = self._fresh.pop(trade_id)
        applied = self._applied[trade_id]
        if order.executed_quantity + trade.quantity > order.quantity:
            if not order.close_position:
                raise InvariantViolation(
                    f"order {order.client_order_id}: fills exceed the ordered {order.quantity}"
                )
            order.quantity = order.executed_quantity + trade.quantity
        self._caps_follow(order, owned.fill, to_units(trade.quantity), owned.shares)
        hold_shrinks(order, trade.quantity, self.changes)
        row = Fill(
            account=self.account,
            instrument=self.instrument,
            order=order,
            trade_id=trade.trade_id,
            side=order.side,
            price=trade.price,
            quantity=trade.quantity,
            quote_quantity=trade.quote_quantity,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            commission_quote=from_units(owned.fee_value),
            realized=from_units(applied.realized),
            maker=trade.maker,
            slippage_bps=_slippage_bps(order, trade),
            traded_at=ns_to_datetime(ms_to_ns(trade.time_ms)),
            recorded_at=now(),
            source=source,
        )
        self._booked.append(row)
        order.executed_quantity += trade.quantity
        order.executed_quote += trade.quote_quantity
        metrics.FILLS.inc()
        metrics.FEES_PAID_USD.inc(float(from_units(owned.fee_value)))
        if row.slippage_bps is not None:
            metrics.EXEC_SLIPPAGE.observe(row.slippage_bps)
        return row

    def order_over(self, order: Order) -> None:
        """An order ended: how it was split is not needed any more."""
        position = self._positions[order.position_side]
        if position.splits.pop(str(order.pk), None) is not None:
            self._split_over.add(order.position_side)
        book = self._books.get(order.position_side)
        if book is not None:
            book.close_order(order.pk)

    def _caps_follow(self, order: Order, fill: DomainFill, filled: int, weights: Mapping[str, int]) -> None:
        """Move the fill's part of the caps from the order to the position, or out when it reduces."""
        position = self._positions[order.position_side]
        side = Side(order.side)
        settlement = settle_fill(
            Reservation(
                quantity=max(to_units(order.quantity - order.executed_quantity), filled),
                notional=to_units(order.reserved_notional),
            ),
            Carried(quantity=self._held[order.position_side], notional=to_units(position.carried_notional)),
            side,
            filled,
            fill.quote,
            # Commission in the base asset leaves the position too: at zero nothing may stay carried.
            fill.fee if portfolio.fee_takes_base(fill, self.domain) else 0,
        )
        self._held[order.position_side] = settlement.carried.quantity
        moved = order.reserved_notional - from_units(settlement.reservation.notional)
        carried_delta = from_units(settlement.carried.notional) - position.carried_notional
        order.reserved_notional = from_units(settlement.reservation.notional)
        position.carried_notional = from_units(settlement.carried.notional)
        self.changes.caps(order, -moved)
        name = order.strategy.name if order.strategy else ""
        shares = carried_split(position.carried_by, weights or {name: 0}, carried_delta)
        for owner, change in shares.items():
            if owner:
                for scope in owner_buckets(owner, self.instrument.symbol):
                    self.changes.buckets[scope] += change
        for scope in bucket_scopes(self.account.name, self.instrument.symbol, None):
            self.changes.buckets[scope] += carried_delta
        position.carried_by = _after(position.carried_by, shares)

    # -- writing -----------------------------------------------------------------------------

    def write(self) -> None:
        """Write everything back: positions, owners, promises, caps, fills, ledger."""
        if self._fresh:
            raise InvariantViolation("a trade was folded and not booked on its order")
        for side, position in sorted(self._positions.items()):
            book = self._books.get(side)
            if book is not None:
                buy, sell = self.changes.open_taken(side)
                position_write(position, book, self._parts[side], buy=buy, sell=sell)
                continue
            if side in self._split_over:
                position.save(update_fields=["splits"])
            self.changes.open_write(position)
        promises = self.changes.promises_taken() if self._booked else None
        self.changes.write()
        if self._booked:
            fills_write(self._booked)
            fills = [
                Posting(
                    f"fill:{self.instrument.symbol}:{fill.trade_id}",
                    flow_lines(self._applied[fill.trade_id].flows),
                    fill.traded_at,
                    fill,
                    self.instrument,
                )
                for fill in self._booked
            ]
            ledger_write(account=self.account, postings=[*fills, *self._postings], promises=promises)
        for action in self._afterwards:
            action()


def _after(carried_by: dict[str, str], changes: dict[str, Decimal]) -> dict[str, str]:
    totals = {name: Decimal(text) for name, text in carried_by.items()}
    for name, change in changes.items():
        totals[name] = totals.get(name, ZERO) + change
    return {name: str(amount) for name, amount in totals.items() if amount != 0}


def _slippage_bps(order: Order, trade: TradeReport) -> float | None:
    if not order.arrival_mid:
        return None
    worse = trade.price - order.arrival_mid if order.side == Side.BUY else order.arrival_mid - trade.price
    return float(worse / order.arrival_mid * 10_000)
