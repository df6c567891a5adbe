"""Continue from disk: load the snapshot, then apply the journal's records in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from testnet.accounts import ApiKey, Permissions
from testnet.exchange import Exchange, Transfer
from testnet.instruments import Character, Instrument
from testnet.journal import read_records, read_snapshot
from testnet.klines import Bar
from testnet.listing import Listing, SymbolStatus
from testnet.orders import Fill, Order, Status
from testnet.tape import Trade

log = logging.getLogger("testnet")

# Public ids used between the last clock record and the crash are not known; skip past any of them.
ID_GAP = 1_000
Record = dict[str, Any]


class Recovery:
    """Rebuilds an exchange that has not started yet."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._orders: dict[int, Order] = {}
        self._instruments: dict[str, Instrument] = {}
        self.feed_states: dict[str, Record] = {}
        self.market_ms: int | None = None
        self.delisted: set[str] = set()
        self._handlers: dict[str, Callable[[Record], None]] = {
            "account": self._account,
            "key": self._key,
            "transfer": self._transfer,
            "list": self._list,
            "status": self._status,
            "delist": self._delist,
            "order": self._order,
            "trade": self._trade,
            "done": self._done,
            "bar": self._bar,
            "clock": self._clock,
        }

    def load(self, folder: Path) -> bool:
        """Read everything in a data directory; False when it holds nothing yet."""
        exchange = self._exchange
        exchange.recovering = True
        snapshot = read_snapshot(folder)
        number = 0
        if snapshot is not None:
            self._snapshot(snapshot)
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
            log.info("recovered %d orders and %d journal records from %s", len(self._orders), count, folder)
        return snapshot is not None or count > 0

    def rest_orders(self) -> None:
        """Put open orders back on their books, behind what the makers quote now."""
        for order in sorted(self._orders.values(), key=lambda order: order.order_id):
            if order.is_open and order.instrument.symbol in self._exchange.engine.listings:
                book = self._exchange.engine.listings[order.instrument.symbol].book
                book.side(order.side).add(order.price, order.remaining, order)
                book.update_id += 1

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
        instrument = Instrument(**record["instrument"])
        self._instruments[instrument.symbol] = instrument
        self.delisted.discard(instrument.symbol)
        listing = Listing(instrument, Character(**record["character"]))
        self._exchange.engine.listings[instrument.symbol] = listing
        for asset in (instrument.base, instrument.quote):
            self._exchange.accounts.fees.balance(asset)

    def _status(self, record: Record) -> None:
        self._exchange.listing(record["s"]).status = SymbolStatus(record["status"])

    def _delist(self, record: Record) -> None:
        del self._exchange.engine.listings[record["s"]]
        self.feed_states.pop(record["s"], None)
        self.delisted.add(record["s"])

    def _order(self, record: Record) -> None:
        order = Order(
            order_id=record["id"],
            account_id=record["a"],
            instrument=self._instruments[record["s"]],
            client_order_id=record["c"],
            side=record["side"],
            type=record["type"],
            time_in_force=record["tif"],
            price=record["p"],
            steps=record["q"],
            quote_quantity=record["qq"],
            stp_mode=record["stp"],
            strategy_id=record["sid"],
            strategy_type=record["st"],
            created_ms=record["at"],
            updated_ms=record["at"],
        )
        engine = self._exchange.engine
        engine.register(order)
        order.events.append((self._exchange.next_seq(), Status.NEW, record["at"]))
        engine.order_id = max(engine.order_id, order.order_id)
        self._orders[order.order_id] = order

    def _trade(self, record: Record) -> None:
        listing = self._exchange.engine.listings[record["s"]]
        taker, maker = self._orders.get(record["taker"]), self._orders.get(record["maker"])
        if taker is not None:
            taker.steps = record["size"]
        quote = record["p"] * record["q"] * listing.instrument.quote_per
        trade = Trade(record["id"], record["p"], record["q"], quote, record["at"], record["m"])
        self._exchange.clock.now_ms = record["at"]
        self._exchange.engine.settle(listing, trade, "SELL" if record["m"] else "BUY", taker, maker)
        listing.tape.trade_id = max(listing.tape.trade_id, trade.trade_id)
        listing.tape.last_price = trade.price

    def _done(self, record: Record) -> None:
        self._exchange.clock.now_ms = record["at"]
        self._exchange.engine.finish(self._orders[record["id"]], Status(record["status"]))

    def _bar(self, record: Record) -> None:
        listing = self._exchange.engine.listings[record["s"]]
        bar = Bar(*record["b"])
        listing.klines.minute = bar
        listing.klines.close_minute()

    def _clock(self, record: Record) -> None:
        self.market_ms = record["ms"]
        for symbol, (last, trade_id, agg_id, update_id, status, minute, feed) in record["symbols"].items():
            listing = self._exchange.engine.listings[symbol]
            listing.tape.last_price = last
            listing.tape.trade_id = max(listing.tape.trade_id, trade_id + ID_GAP)
            listing.tape.agg_id = agg_id + ID_GAP
            listing.book.update_id = update_id + ID_GAP
            listing.status = SymbolStatus(status)
            listing.klines.minute = Bar(*minute) if minute else None
            if feed is not None:
                self.feed_states[symbol] = feed

    # -- snapshot --------------------------------------------------------------------------

    def _snapshot(self, state: Record) -> None:
        exchange = self._exchange
        self._instruments = {s: Instrument(**raw) for s, raw in state["instruments"].items()}
        self.market_ms = state["market_ms"]
        for raw in state["accounts"]:
            account = exchange.accounts.by_id.get(raw["id"]) or exchange.accounts.add(raw["id"], raw["name"])
            account.maker_rate, account.taker_rate = raw["maker"], raw["taker"]
            for asset, (free, locked) in raw["balances"].items():
                balance = account.balance(asset)
                balance.free, balance.locked = free, locked
        for raw in state["keys"]:
            self._key(raw)
        exchange.transfers = [Transfer(*row) for row in state["transfers"]]
        for raw in state["orders"]:
            self._restore_order(raw)
        for row in state["fills"]:
            values = [*row[:5], self._instruments[row[5]], *row[6:]]
            fill = Fill(*values)
            exchange.engine.shelf(fill.account_id).fills.append(fill)
        for symbol, raw in state["listings"].items():
            self._restore_listing(symbol, raw)
        self.delisted = set(state["delisted"])
        exchange.seq = state["seq"]
        exchange.engine.order_id = state["order_id"]

    def _restore_order(self, raw: list[Any]) -> None:
        symbol, status, events = raw[2], raw[-5], raw[-1]
        values = [*raw[:2], self._instruments[symbol], *raw[3:-5], Status(status), *raw[-4:-1]]
        order = Order(*values)
        order.events = [(event[0], event[1], event[2]) for event in events]
        shelf = self._exchange.engine.shelf(order.account_id)
        shelf.orders[order.order_id] = order
        shelf.latest_by_client_id[order.client_order_id] = order
        if order.is_open:
            shelf.open_by_client_id[order.client_order_id] = order
        self._orders[order.order_id] = order

    def _restore_listing(self, symbol: str, raw: Record) -> None:
        listing = Listing(self._instruments[symbol], Character(**raw["character"]))
        listing.status = SymbolStatus(raw["status"])
        listing.tape.trade_id, listing.tape.agg_id = raw["trade_id"], raw["agg_id"]
        listing.tape.last_price = raw["last_price"]
        listing.book.update_id = raw["update_id"]
        listing.klines.restore(raw["klines"])
        self._exchange.engine.listings[symbol] = listing
        if raw["feed"] is not None:
            self.feed_states[symbol] = raw["feed"]


def snapshot(exchange: Exchange, delisted: set[str]) -> Record:
    """Everything a restart needs, as plain JSON."""
    shelves = exchange.engine.shelves.values()
    orders = [order for shelf in shelves for order in shelf.orders.values()]
    fills = [fill for shelf in shelves for fill in shelf.fills]
    instruments = {order.instrument.symbol: order.instrument for order in orders}
    instruments |= {symbol: listing.instrument for symbol, listing in exchange.engine.listings.items()}
    return {
        "seq": exchange.seq,
        "order_id": exchange.engine.order_id,
        "seed": exchange.seed,
        "market_ms": exchange.driver.next_ms,
        "instruments": {symbol: asdict(instrument) for symbol, instrument in instruments.items()},
        "accounts": [
            {
                "id": account.account_id,
                "name": account.name,
                "maker": account.maker_rate,
                "taker": account.taker_rate,
                "balances": {asset: [b.free, b.locked] for asset, b in account.balances.items()},
            }
            for account in exchange.accounts.by_id.values()
        ],
        "keys": [
            {
                "key": key.api_key,
                "a": key.account_id,
                "kind": key.kind,
                "secret": key.secret,
                "perm": key.permissions.to_json(),
                "wall": key.created_ms,
            }
            for key in exchange.accounts.keys.values()
        ],
        "transfers": [[t.seq, t.account_id, t.asset, t.amount, t.time_ms] for t in exchange.transfers],
        "orders": [_order_row(order) for order in sorted(orders, key=lambda order: order.order_id)],
        "fills": [_fill_row(fill) for fill in fills],
        "delisted": sorted(delisted),
        "listings": {
            symbol: _listing_state(exchange, symbol, listing)
            for symbol, listing in exchange.engine.listings.items()
        },
    }


def _order_row(order: Order) -> list[Any]:
    return [
        order.order_id,
        order.account_id,
        order.instrument.symbol,
        order.client_order_id,
        order.side,
        order.type,
        order.time_in_force,
        order.price,
        order.steps,
        order.quote_quantity,
        order.stp_mode,
        order.strategy_id,
        order.strategy_type,
        order.created_ms,
        order.updated_ms,
        order.status.value,
        order.executed,
        order.executed_quote,
        order.locked,
        order.events,
    ]


def _fill_row(fill: Fill) -> list[Any]:
    return [
        fill.seq,
        fill.trade_id,
        fill.time_ms,
        fill.account_id,
        fill.order_id,
        fill.instrument.symbol,
        fill.side,
        fill.price,
        fill.quantity,
        fill.quote,
        fill.commission,
        fill.commission_asset,
        fill.maker,
        fill.counterparty,
    ]


def _listing_state(exchange: Exchange, symbol: str, listing: Listing) -> Record:
    feed = exchange.driver.feeds.get(symbol)
    return {
        "character": asdict(listing.character),
        "status": listing.status.value,
        "trade_id": listing.tape.trade_id,
        "agg_id": listing.tape.agg_id,
        "last_price": listing.tape.last_price,
        "update_id": listing.book.update_id,
        "klines": listing.klines.state(),
        "feed": feed.state() if feed is not None else None,
    }
