"""Continue from disk: load the snapshot, then apply the journal's records in order."""

from __future__ import annotations

import logging
from pathlib import Path

from testnet.accounts import ApiKey, Permissions
from testnet.engine import Engine
from testnet.exchange import Exchange
from testnet.instruments import Character, Instrument
from testnet.journal import read_records, read_snapshot
from testnet.klines import Bar
from testnet.liquidity import crosses
from testnet.listing import Listing, SymbolStatus
from testnet.orders import Order, PreventedMatch, Status
from testnet.persistence import Handler, Record, order_of_record
from testnet.self_trades import note_prevention
from testnet.snapshots import restore
from testnet.tape import Trade

log = logging.getLogger("testnet")

# Public ids used between the last clock record and the crash are not known; skip past any of them.
ID_GAP = 1_000


class Recovery:
    """Rebuilds an exchange that has not started yet; markets and symbols go by `instrument.key`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._instruments: dict[str, Instrument] = {}
        self.feed_states: dict[str, Record] = {}
        self.market_ms: int | None = None
        self.delisted: set[str] = set()
        self._handlers: dict[str, Handler] = {
            "account": self._account,
            "key": self._key,
            "transfer": self._transfer,
            "list": self._list,
            "status": self._status,
            "delist": self._delist,
            "order": self._order,
            "trade": self._trade,
            "done": self._done,
            "enter": self._enter,
            "work": self._work,
            "prevent": self._prevent,
            "bar": self._bar,
            "clock": self._clock,
        }
        for part in exchange.parts:
            self._handlers.update(part.handlers())

    def load(self, folder: Path) -> bool:
        """Read everything in a data directory; False when it holds nothing yet."""
        exchange = self._exchange
        exchange.recovering = True
        snapshot = read_snapshot(folder)
        number = 0
        if snapshot is not None:
            restored = restore(exchange, snapshot)
            self._instruments, self.feed_states = restored.instruments, restored.feed_states
            self.market_ms, self.delisted = restored.market_ms, restored.delisted
            number = int(snapshot["n"])
        count = 0
        for record in read_records(folder, number):
            self._handlers[record["t"]](record)
            number = int(record["n"])
            count += 1
        exchange.journal.number = number
        exchange.recovering = False
        if self.market_ms is not None:
            exchange.clock.now_ms = exchange.driver.next_ms = self.market_ms
        if snapshot is not None or count:
            log.info("recovered %d journal records after the snapshot from %s", count, folder)
        return snapshot is not None or count > 0

    def rest_orders(self) -> None:
        """Put open orders back on their books, behind what the makers quote now.

        One that the market has crossed meanwhile trades first; one that never rests, and so was cut short
        by the crash, expires.
        """
        for engine in self._exchange.engines.values():
            orders = [order for shelf in engine.shelves.values() for order in shelf.open_orders()]
            for order in sorted(orders, key=lambda order: order.order_id):
                if order.is_open and order.working_ms and order.instrument.symbol in engine.listings:
                    self._rest(engine, order)
        for part in self._exchange.parts:
            part.recovered()

    def _rest(self, engine: Engine, order: Order) -> None:
        book = engine.listings[order.instrument.symbol].book
        best = book.contra(order.side).best()
        if not order.remaining:
            engine.close(order, Status.EXPIRED_IN_MATCH)
        elif not order.rests:
            engine.close(order, Status.EXPIRED)
        elif best is not None and crosses(order.side, order.price, best):
            engine.work(order)
            engine.clearing.announce(order)
        else:
            book.side(order.side).add_order(order)
            book.update_id += 1

    def _engine(self, record: Record) -> Engine:
        return self._exchange.engines[self._instruments[record["k"]].market]

    def _listing(self, record: Record) -> Listing:
        instrument = self._instruments[record["k"]]
        return self._exchange.engines[instrument.market].listings[instrument.symbol]

    def _order_of(self, record: Record, order_id: int) -> Order:
        return self._engine(record).by_id[order_id]

    # -- journal records -------------------------------------------------------------------

    def _account(self, record: Record) -> None:
        account = self._exchange.accounts.add(record["id"], record["name"])
        account.maker_rate, account.taker_rate = record["maker"], record["taker"]

    def _key(self, record: Record) -> None:
        key = ApiKey(
            record["key"],
            record["a"],
            record["kind"],
            record["secret"],
            Permissions.parse(record["perm"]),
            record["wall"],
        )
        self._exchange.accounts.keys[key.api_key] = key

    def _transfer(self, record: Record) -> None:
        account = self._exchange.accounts.by_id[record["a"]]
        self._exchange.apply_transfer(account, record["asset"], record["u"], record["at"])

    def _list(self, record: Record) -> None:
        instrument = Instrument.from_json(record["instrument"])
        self._instruments[instrument.key] = instrument
        self.delisted.discard(instrument.key)
        listing = Listing(instrument, Character(**record["character"]))
        self._exchange.engines[instrument.market].listings[instrument.symbol] = listing
        for asset in (instrument.base, instrument.quote):
            self._exchange.accounts.fees.balance(asset)

    def _status(self, record: Record) -> None:
        self._listing(record).status = SymbolStatus(record["status"])

    def _delist(self, record: Record) -> None:
        del self._engine(record).listings[self._instruments[record["k"]].symbol]
        self.feed_states.pop(record["k"], None)
        self.delisted.add(record["k"])

    def _order(self, record: Record) -> None:
        order = order_of_record(record, self._instruments[record["k"]])
        engine = self._engine(record)
        engine.register(order)
        order.events.append((self._exchange.next_seq(), order.status, record["at"]))
        engine.order_id = max(engine.order_id, order.order_id)

    def _trade(self, record: Record) -> None:
        listing, engine = self._listing(record), self._engine(record)
        taker, maker = engine.by_id.get(record["taker"]), engine.by_id.get(record["maker"])
        if taker is not None and taker.quote_quantity:
            taker.steps = record["size"]
        quote = record["p"] * record["q"] * listing.instrument.quote_per
        trade = Trade(record["id"], record["p"], record["q"], quote, record["at"], record["m"])
        self._exchange.clock.now_ms = record["at"]
        engine.settle(listing, trade, "SELL" if record["m"] else "BUY", taker, maker)
        listing.tape.trade_id = max(listing.tape.trade_id, trade.trade_id)
        listing.tape.last_price = trade.price

    def _done(self, record: Record) -> None:
        self._exchange.clock.now_ms = record["at"]
        self._engine(record).finish(self._order_of(record, record["id"]), Status(record["status"]))

    def _enter(self, record: Record) -> None:
        self._exchange.clock.now_ms = record["at"]
        self._engine(record).enter(self._order_of(record, record["id"]), record["at"])

    def _work(self, record: Record) -> None:
        self._exchange.clock.now_ms = record["at"]
        self._engine(record).start(self._order_of(record, record["id"]), record["at"])

    def _prevent(self, record: Record) -> None:
        match = PreventedMatch(*record["m"])
        taker = self._order_of(record, match.taker_id)
        if taker.quote_quantity:
            taker.steps = record["size"]
        note_prevention(self._engine(record), match)

    def _bar(self, record: Record) -> None:
        listing = self._listing(record)
        bar = Bar(*record["b"])
        listing.klines.minute = bar
        listing.klines.close_minute()

    def _clock(self, record: Record) -> None:
        self.market_ms = record["ms"]
        for key, (last, trade_id, agg_id, update_id, status, minute, feed) in record["symbols"].items():
            listing = self._listing({"k": key})
            listing.tape.last_price = last
            listing.tape.trade_id = max(listing.tape.trade_id, trade_id + ID_GAP)
            listing.tape.agg_id = agg_id + ID_GAP
            listing.book.update_id = update_id + ID_GAP
            listing.status = SymbolStatus(status)
            listing.klines.minute = Bar(*minute) if minute else None
            if feed is not None:
                self.feed_states[key] = feed
