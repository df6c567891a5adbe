"""Listing, delisting, halting and changing symbols of either market while the exchange runs."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from testnet.account_setup import read_amount
from testnet.errors import ApiError
from testnet.exchange import Exchange
from testnet.instruments import (
    Character,
    Instrument,
    UnknownInstrument,
    catalog_instrument,
    instrument_for_price,
    make_instrument,
)
from testnet.listing import Listing, SymbolStatus
from testnet.market.synthetic import SyntheticFeed
from testnet.persistence import Handler, Record
from testnet.schedule import Schedule
from testnet.symbol_filters import GRID, LIMITS, changed, limited
from testnet.usdm.catalog import perpetual_of
from testnet.usdm.feed import FollowingFeed, PerpetualFeed, Underlying
from testnet.usdm.opening import describe_perpetual
from testnet.values import SCALE

log = logging.getLogger("testnet")

ACTIONS = ("list", "delist", "halt", "resume", "filters")
_REMOVE = "remove"  # what follows a delisting announced beforehand
_LINGER_MS = 60_000  # how long a delisted symbol still shows that it is closed
_TURBULENT = 3


@dataclass(frozen=True, slots=True)
class SymbolAction:
    """One checked action; `price` and `filters` in 1e-8 units, `price` 0 when not given."""

    symbol: str
    market: str
    action: str
    price: int = 0
    filters: Mapping[str, int] = field(default_factory=dict)


def read_action(body: Mapping[str, Any], *, is_own: bool = False) -> SymbolAction:
    """Check what the control API was asked; `is_own` also takes what the exchange schedules itself.

    Raises
    ------
    ApiError : -1100 naming the member that is wrong.
    """
    symbol, action = body.get("symbol"), body.get("action")
    if (
        not isinstance(symbol, str)
        or not symbol
        or (action not in ACTIONS and not (is_own and action == _REMOVE))
    ):
        raise ApiError(-1100, f"expected symbol and action ({', '.join(ACTIONS)})")
    market = body.get("market", "spot")
    if market not in ("spot", "usdm"):
        raise ApiError(-1100, "market: expected spot or usdm")
    price = read_amount(body["price"], "price") if body.get("price") is not None else 0
    if body.get("price") is not None and price <= 0:
        raise ApiError(-1100, "price: expected a positive price")
    filters = body.get("filters") or {}
    known = {*GRID, *LIMITS}
    if not isinstance(filters, dict) or set(filters) - known:
        raise ApiError(-1100, f"filters: expected {', '.join(sorted(known))}")
    amounts = {name: read_amount(value, f"filters.{name}") for name, value in filters.items()}
    if action == "filters" and not amounts:
        raise ApiError(-1100, "filters: expected at least one")
    return SymbolAction(symbol, market, str(action), price, amounts)


class SymbolDesk:
    """Performs symbol actions; a `Part`, because changed filters must survive a restart."""

    name = "symbols"

    def __init__(self, exchange: Exchange, schedule: Schedule, delisted: set[str]) -> None:
        self._exchange = exchange
        self._schedule = schedule
        self._delisted = delisted
        self.on_change: Callable[[Listing], None] = lambda listing: None
        self.on_removed: Callable[[Listing], None] = lambda listing: None

    def request(self, body: dict[str, Any], at_ms: int | None) -> None:
        """Check an action, then perform it now or let it wait for its time.

        Raises
        ------
        ApiError : it cannot be done, as far as can be told now.
        """
        action = read_action(body)
        if at_ms is None or at_ms <= self._exchange.driver.next_ms:
            self.perform(action)
            return
        if action.action == "list":
            self._described(action)
        elif action.action == "filters":
            changed(self._listing(action), action.filters)
        elif action.action == "delist":
            self._announce_end(self._listing(action), at_ms)
        self._schedule.add(at_ms, body)

    def run_due(self, now_ms: int) -> None:
        """Perform everything whose time has come."""
        for entry in self._schedule.take_due(now_ms):
            try:
                action = read_action(entry.body, is_own=True)
                if action.action == "delist":
                    self._close(self._listing(action))
                else:
                    self.perform(action)
            except ApiError as error:
                log.warning("scheduled symbol action refused: %s", error)

    def perform(self, action: SymbolAction) -> None:
        """Do it now.

        Raises
        ------
        ApiError : -1121 for an unknown symbol, -1100 for what cannot be.
        """
        if action.action == "list":
            self._list(self._described(action))
            return
        listing = self._listing(action)
        if action.action == "halt":
            self.set_status(listing, SymbolStatus.HALT)
        elif action.action == "resume":
            self.set_status(listing, SymbolStatus.TRADING)
        elif action.action == "filters":
            self._amend(listing, changed(listing, action.filters))
        else:
            self._remove(listing)

    def _listing(self, action: SymbolAction) -> Listing:
        return self._exchange.listing(action.symbol, action.market)

    def set_status(self, listing: Listing, status: SymbolStatus) -> None:
        """Change a symbol's trading state."""
        self._exchange.set_status(listing, status)
        self.on_change(listing)

    # -- listing ---------------------------------------------------------------------------

    def _described(self, action: SymbolAction) -> Listing:
        try:
            if not action.price:
                listing = (
                    describe_perpetual(self._exchange, action.symbol)
                    if action.market == "usdm"
                    else Listing(*catalog_instrument(action.symbol))
                )
                if action.filters:
                    listing.instrument = changed(listing, action.filters)
                return listing
            price = action.price / SCALE
            instrument, character = _instrument(action, price), Character(price=price)
            if action.market == "usdm":
                now = self._exchange.driver.next_ms
                instrument, character = perpetual_of(instrument, character, now)
            return Listing(limited(instrument, action.filters), character)
        except UnknownInstrument as error:
            raise ApiError(-1100, str(error)) from None

    def _list(self, listing: Listing) -> None:
        instrument, exchange = listing.instrument, self._exchange
        engine = exchange.engines[instrument.market]
        if instrument.symbol in engine.listings:
            raise ApiError(-1100, f"{instrument.symbol} is listed already")
        self._delisted.discard(instrument.key)
        fair = float(instrument.ticks(listing.character.price))
        # The spot part keeps its short name, so that markets of earlier versions repeat.
        name = instrument.symbol if instrument.market == "spot" else instrument.key
        rng = random.Random(f"{exchange.seed}:market:{name}:{exchange.driver.next_ms}")
        # A new listing starts in the turbulent regime, as new listings do.
        if instrument.market == "spot":
            listing.tape.last_price = round(fair)
            exchange.add_listing(listing)
            exchange.driver.add(engine, listing, SyntheticFeed(listing, fair, _TURBULENT, rng))
        else:
            underlying = Underlying(exchange.driver, instrument.symbol)
            middle = underlying.middle()
            fair = max(2.0, middle / instrument.tick) if middle is not None else fair
            listing.tape.last_price = round(fair)
            exchange.add_listing(listing)
            market = FollowingFeed(listing, fair, _TURBULENT, rng, underlying)
            feed = PerpetualFeed(listing, market, underlying, exchange.marks)
            exchange.driver.add(engine, listing, feed)
        exchange.journal_clock()
        self.on_change(listing)

    # -- changing --------------------------------------------------------------------------

    def _amend(self, listing: Listing, instrument: Instrument) -> None:
        listing.instrument = instrument
        self._exchange.journal.append({"t": "filters", "k": instrument.key, "instrument": asdict(instrument)})
        self.on_change(listing)

    def _announce_end(self, listing: Listing, at_ms: int) -> None:
        """A contract shows its delivery date as soon as its end is known."""
        terms = listing.instrument.perpetual
        if terms is not None:
            self._amend(listing, replace(listing.instrument, perpetual=replace(terms, delivery_ms=at_ms)))

    def _close(self, listing: Listing) -> None:
        """End trading at the announced time; the symbol itself goes a minute later."""
        instrument, exchange = listing.instrument, self._exchange
        if instrument.market == "usdm":
            self.set_status(listing, SymbolStatus.SETTLING)
            exchange.usdm_market.settle_symbol(listing)
        else:
            self.set_status(listing, SymbolStatus.BREAK)
            for shelf in list(exchange.spot.shelves.values()):
                for order in shelf.open_orders(instrument.symbol):
                    if order.is_open:
                        exchange.spot.expire(order)
        body = {"symbol": instrument.symbol, "market": instrument.market, "action": _REMOVE}
        self._schedule.add(exchange.driver.next_ms + _LINGER_MS, body)

    def _remove(self, listing: Listing) -> None:
        self._exchange.delist(listing)
        self._exchange.marks.forget(listing.instrument.key)
        self._delisted.add(listing.instrument.key)
        self.on_removed(listing)

    # -- over a restart --------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Journal records of this part."""
        return {"filters": self._amended_again}

    def _amended_again(self, record: Record) -> None:
        instrument = Instrument.from_json(record["instrument"])
        self._exchange.listing(instrument.symbol, instrument.market).instrument = instrument

    def state(self) -> Record:
        """Nothing of its own: listings carry their filters."""
        return {}

    def restore(self, state: Record) -> None:
        """Nothing to restore."""

    def recovered(self) -> None:
        """Nothing to arm."""


def _instrument(action: SymbolAction, price: float) -> Instrument:
    plain = instrument_for_price(action.symbol, price)
    if not action.filters:
        return plain
    return make_instrument(
        action.symbol,
        action.filters.get("tickSize", plain.tick),
        action.filters.get("stepSize", plain.step),
        price,
        action.filters.get("minNotional", plain.min_notional),
    )
