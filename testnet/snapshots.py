"""The whole state of the exchange as one JSON object, written now and then and read at a restart."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, field

from testnet.accounts import ApiKey, Permissions
from testnet.engine import Engine
from testnet.exchange import Exchange, Transfer
from testnet.instruments import Character, Instrument
from testnet.listing import Listing, SymbolStatus
from testnet.orders import PreventedMatch
from testnet.persistence import Record, fill_rows, order_rows, read_fills, read_orders


@dataclass(slots=True)
class Restored:
    """What recovery needs to know beside the exchange itself."""

    market_ms: int
    instruments: dict[str, Instrument]
    feed_states: dict[str, Record] = field(default_factory=dict)
    delisted: set[str] = field(default_factory=set)


def snapshot(exchange: Exchange, delisted: set[str]) -> Record:
    """Everything a restart needs, as plain JSON."""
    return {
        "seq": exchange.seq,
        "seed": exchange.seed,
        "market_ms": exchange.driver.next_ms,
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
        "delisted": sorted(delisted),
        "markets": {name: _market(exchange, engine) for name, engine in exchange.engines.items()},
        "parts": {part.name: part.state() for part in exchange.parts},
    }


def _market(exchange: Exchange, engine: Engine) -> Record:
    orders = sorted(engine.by_id.values(), key=lambda order: order.order_id)
    fills = [fill for shelf in engine.shelves.values() for fill in shelf.fills]
    used = [order.instrument for order in orders] + [fill.instrument for fill in fills]
    used += [listing.instrument for listing in engine.listings.values()]
    instruments = {instrument.key: instrument for instrument in used}
    return {
        "order_id": engine.order_id,
        "instruments": {key: asdict(instrument) for key, instrument in instruments.items()},
        "orders": order_rows(orders),
        "fills": fill_rows(fills),
        "prevented": [astuple(match) for match in engine.prevented],
        "listings": {symbol: _listing(exchange, listing) for symbol, listing in engine.listings.items()},
    }


def _listing(exchange: Exchange, listing: Listing) -> Record:
    return {
        "character": asdict(listing.character),
        "status": listing.status.value,
        "trade_id": listing.tape.trade_id,
        "agg_id": listing.tape.agg_id,
        "last_price": listing.tape.last_price,
        "update_id": listing.book.update_id,
        "klines": listing.klines.state(),
        "feed": exchange.driver.state_of(listing),
    }


def restore(exchange: Exchange, state: Record) -> Restored:
    """Put a snapshot into an empty exchange."""
    restored = Restored(state["market_ms"], {}, delisted=set(state["delisted"]))
    for raw in state["accounts"]:
        account = exchange.accounts.by_id.get(raw["id"]) or exchange.accounts.add(raw["id"], raw["name"])
        account.maker_rate, account.taker_rate = raw["maker"], raw["taker"]
        for asset, (free, locked) in raw["balances"].items():
            balance = account.balance(asset)
            balance.free, balance.locked = free, locked
    for raw in state["keys"]:
        exchange.accounts.keys[raw["key"]] = ApiKey(
            raw["key"], raw["a"], raw["kind"], raw["secret"], Permissions.parse(raw["perm"]), raw["wall"]
        )
    exchange.transfers = [Transfer(*row) for row in state["transfers"]]
    for name, raw in state["markets"].items():
        _restore_market(exchange.engines[name], raw, restored)
    for part in exchange.parts:
        if part.name in state["parts"]:
            part.restore(state["parts"][part.name])
    exchange.seq = state["seq"]
    return restored


def _restore_market(engine: Engine, raw: Record, restored: Restored) -> None:
    instruments = {key: Instrument.from_json(text) for key, text in raw["instruments"].items()}
    restored.instruments.update(instruments)
    for order in read_orders(raw["orders"], instruments):
        engine.put(order)
    for fill in read_fills(raw["fills"], instruments):
        engine.shelf(fill.account_id).fills.append(fill)
    for row in raw.get("prevented", []):
        engine.prevented.append(PreventedMatch(*row))
        engine.prevented_id = engine.prevented[-1].match_id
    for symbol, state in raw["listings"].items():
        listing = Listing(instruments[f"{engine.market}:{symbol}"], Character(**state["character"]))
        listing.status = SymbolStatus(state["status"])
        listing.tape.trade_id, listing.tape.agg_id = state["trade_id"], state["agg_id"]
        listing.tape.last_price = state["last_price"]
        listing.book.update_id = state["update_id"]
        listing.klines.restore(state["klines"])
        engine.listings[symbol] = listing
        if state["feed"] is not None:
            restored.feed_states[listing.instrument.key] = state["feed"]
    engine.order_id = raw["order_id"]
