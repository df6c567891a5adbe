"""An exchange without sockets or background market, and checks every test applies to it."""

from __future__ import annotations

import json
from pathlib import Path

from testnet.accounts import Account
from testnet.clock import MarketClock
from testnet.exchange import Exchange
from testnet.instruments import Character, make_instrument
from testnet.journal import Journal
from testnet.listing import Listing
from testnet.orders import NewOrder, Order, StopTerms
from testnet.persistence import Record
from testnet.recovery import Recovery
from testnet.spot.checks import ListRequest
from testnet.values import SCALE

TICK = SCALE // 100
STEP = SCALE // 1000
LAST = 10_000


class MemoryJournal(Journal):
    """Keeps every record, as it would look after a trip through JSON."""

    def __init__(self) -> None:
        super().__init__(None)
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        self.number += 1
        self.records.append(json.loads(json.dumps({**record, "n": self.number})))


def exchange_with(*symbols: str) -> Exchange:
    """BTCUSDT at 100.00 (and others alike), books empty, with a journal in memory."""
    exchange = Exchange(MarketClock(60_000, speed=0), MemoryJournal(), seed=1)
    for symbol in symbols or ("BTCUSDT",):
        instrument = make_instrument(symbol, TICK, STEP, 100.0, min_notional=0)
        listing = Listing(instrument, Character(price=100.0))
        exchange.add_listing(listing)
        listing.tape.last_price = LAST
        listing.klines.start_minute(60_000, LAST)
    return exchange


def recovered(
    records: list[Record],
    tmp_path: Path,
    marks: dict[str, int] | None = None,
    snapshot: Record | None = None,
) -> Exchange:
    """A new exchange that read these journal lines, and a snapshot before them, from disk."""
    folder = tmp_path / "recovered"
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "journal.jsonl").write_text(lines)
    if snapshot is not None:
        (folder / "snapshot.json").write_text(json.dumps(snapshot))
    exchange = Exchange(MarketClock(60_000, speed=0), MemoryJournal(), seed=1)
    recovery = Recovery(exchange)
    recovery.load(folder)
    for symbol, price in (marks or {}).items():
        listing = exchange.spot.listings[symbol]
        listing.tape.last_price = price
        listing.klines.start_minute(60_000, price)
    recovery.rest_orders()
    return exchange


def funded(exchange: Exchange, name: str, usdt: int = 10**6, btc: int = 10**4, bnb: int = 0) -> Account:
    account = exchange.create_account(name, account_id=name)
    exchange.transfer(account, "USDT", usdt * SCALE)
    exchange.transfer(account, "BTC", btc * SCALE)
    if bnb:
        exchange.transfer(account, "BNB", bnb * SCALE)
    return account


def new_order(
    side: str,
    price: int,
    steps: int,
    *,
    kind: str = "LIMIT",
    tif: str = "GTC",
    stop: int = 0,
    trailing: int = 0,
    iceberg: int = 0,
    stp: str = "NONE",
    client_id: str = "",
    quote: int = 0,
    symbol: str = "BTCUSDT",
) -> NewOrder:
    """A request in ticks and steps."""
    return NewOrder(
        symbol,
        side,
        kind,
        tif,
        0 if kind in ("MARKET", "STOP_LOSS", "TAKE_PROFIT") else price * TICK,
        steps * STEP,
        quote,
        client_id,
        "FULL",
        stp_mode=stp,
        iceberg=iceberg * STEP,
        stop=StopTerms(stop * TICK, trailing) if stop or trailing else None,
    )


def place(exchange: Exchange, account: Account, request: NewOrder) -> Order:
    return exchange.spot_market.place(account, request)[0]


def place_list(
    exchange: Exchange, account: Account, kind: str, *orders: NewOrder, client_id: str = ""
) -> list[Order]:
    request = ListRequest(kind, client_id, orders)
    return exchange.spot_market.place_list(account, request, lambda row, placed: placed)


def trade_at(exchange: Exchange, price: int, steps: int = 1, symbol: str = "BTCUSDT") -> None:
    """Let the background market trade at a price (where the book lets it), so that it is the last price."""
    listing = exchange.spot.listings[symbol]
    listing.book.asks.add(price, steps)
    exchange.spot.background_take(listing, "BUY", price, steps)


def assert_sound(exchange: Exchange) -> None:
    """Every asset is conserved, no balance is negative, locks are exactly what open orders need."""
    sent: dict[str, int] = {}
    for transfer in exchange.transfers:
        sent[transfer.asset] = sent.get(transfer.asset, 0) + transfer.amount
    totals = exchange.accounts.totals()
    assert {asset: totals.get(asset, 0) for asset in sent} == sent
    engine = exchange.spot
    for account in exchange.accounts.by_id.values():
        owed: dict[str, int] = {}
        for order in engine.shelf(account.account_id).open_orders():
            asset = order.instrument.quote if order.side == "BUY" else order.instrument.base
            if exchange.spot_market.lists.partner(order, engine.by_id) is None:
                owed[asset] = owed.get(asset, 0) + needs(order)
            assert order.locked >= 0
        for row in exchange.spot_market.lists.open_of(account.account_id):
            pair = [engine.by_id[i] for i in row.pair if engine.by_id[i].is_open]
            if pair:
                asset = pair[0].instrument.quote if pair[0].side == "BUY" else pair[0].instrument.base
                owed[asset] = owed.get(asset, 0) + max(needs(order) for order in pair)
        for asset, balance in account.balances.items():
            assert balance.free >= 0
            assert balance.locked == owed.get(asset, 0), (account.account_id, asset)
    for listing in engine.listings.values():
        bid, ask = listing.book.bids.best(), listing.book.asks.best()
        assert bid is None or ask is None or bid < ask, "the book must never rest crossed"
        for side in (listing.book.bids, listing.book.asks):
            for level in side.levels.values():
                assert level.steps == sum(entry.steps for entry in level.queue) > 0
                assert level.hidden == sum(entry.hidden for entry in level.queue)


def needs(order: Order) -> int:
    """What an open order must have set aside, by the venue's rules rather than by our code."""
    steps = order.steps - order.executed - order.prevented
    if order.type == "MARKET":
        return 0
    if order.type in ("STOP_LOSS", "TAKE_PROFIT") and order.working_ms:
        return 0
    if order.side == "SELL":
        return steps * STEP
    if order.type in ("STOP_LOSS", "TAKE_PROFIT"):
        assert order.stop is not None
        return steps * STEP * order.stop.reserve * TICK // SCALE
    return steps * STEP * order.price * TICK // SCALE


def differences(left: Record, right: Record) -> list[str]:
    """Where two states differ, in few words."""
    found = []
    for name in sorted({*left, *right}):
        one, other = left.get(name), right.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
            found += [f"{name}.{key}: {one.get(key)} != {other.get(key)}"[:600] for key in keys[:3]]
        elif one != other:
            found.append(f"{name}: {one} != {other}"[:600])
    return found


def public_state(exchange: Exchange) -> Record:
    """Everything a restart must bring back, in a form two exchanges can be compared by."""
    engine = exchange.spot
    return {
        "balances": {
            account.account_id: {a: (b.free, b.locked) for a, b in account.balances.items()}
            for account in exchange.accounts.by_id.values()
        },
        "orders": {
            order.order_id: (
                order.client_order_id,
                order.status.value,
                order.steps,
                order.executed,
                order.executed_quote,
                order.prevented,
                order.prevented_match_id,
                order.locked,
                order.working_ms,
                order.trailing_ms,
                order.amends,
                order.iceberg,
                order.list_id,
                order.stop,
                [(seq, str(status), at) for seq, status, at in order.events],
            )
            for order in engine.by_id.values()
        },
        "fills": {
            name: [
                (f.seq, f.trade_id, f.order_id, f.price, f.quantity, f.commission, f.commission_asset)
                for f in shelf.fills
            ]
            for name, shelf in engine.shelves.items()
            if shelf.fills
        },
        "lists": {
            row.list_id: (row.kind, row.client_id, tuple(row.order_ids), row.done)
            for row in exchange.spot_market.lists.by_id.values()
        },
        "prevented": list(engine.prevented),
        "trails": exchange.spot_market.contingencies.stops.state(),
        "seq": exchange.seq,
        "order_id": engine.order_id,
    }
