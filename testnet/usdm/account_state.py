"""USD-M accounts as plain JSON, for snapshots."""

from __future__ import annotations

from testnet.engine import Engine
from testnet.persistence import Record
from testnet.usdm.account import FuturesAccount, FuturesAccounts
from testnet.usdm.clearing import PLAIN
from testnet.usdm.positions import Position


def account_rows(accounts: FuturesAccounts) -> list[Record]:
    """Every account."""
    return [_row(account) for account in accounts.by_id.values()]


def _row(account: FuturesAccount) -> Record:
    return {
        "id": account.account_id,
        "maker": account.maker_rate,
        "taker": account.taker_rate,
        "hedge": account.hedge,
        "wallets": dict(account.wallets),
        "leverages": dict(account.leverages),
        "isolated": sorted(account.isolated),
        "updated": account.updated_ms,
        "positions": [
            [
                position.symbol,
                position.side,
                position.steps,
                position.cost,
                position.isolated,
                position.fees,
                position.realized,
                position.accumulated,
                position.updated_ms,
            ]
            for position in account.positions.values()
        ],
    }


def restore_accounts(rows: list[Record], accounts: FuturesAccounts, engine: Engine) -> None:
    """Put accounts back, and count again what their open orders ask for; orders are back already."""
    for raw in rows:
        account = accounts.of(raw["id"])
        account.maker_rate, account.taker_rate = raw["maker"], raw["taker"]
        account.hedge = raw["hedge"]
        account.wallets = dict(raw["wallets"])
        account.leverages = dict(raw["leverages"])
        account.isolated = set(raw["isolated"])
        account.updated_ms = raw["updated"]
        for symbol, side, *values in raw["positions"]:
            listing = engine.listings.get(symbol)
            # A delisted symbol's positions were settled: they are flat.
            if listing is not None:
                account.positions[symbol, side] = Position(listing.instrument, side, *values)
                accounts.note_trader(symbol, account.account_id)
    for shelf in engine.shelves.values():
        for order in shelf.open_orders():
            if order.locked:
                position_side = (order.position or PLAIN).position_side
                accounts.of(order.account_id).ask(
                    order.instrument.symbol, position_side, order.side, order.locked
                )
