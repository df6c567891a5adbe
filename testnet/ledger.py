"""The oracle: everything that happened, for tests and reconciliation to compare with."""

from __future__ import annotations

from typing import Any

from testnet.exchange import Exchange
from testnet.orders import Fill, Order
from testnet.values import units_text


def ledger_json(exchange: Exchange, account_id: str | None) -> dict[str, Any]:
    """Orders, fills, balances and transfers of one account or all, with one sequence for everything."""
    accounts = exchange.accounts
    chosen = [accounts.get(account_id)] if account_id else list(accounts.by_id.values())
    shelves = [
        engine.shelves.get(account.account_id) for engine in exchange.engines.values() for account in chosen
    ]
    orders = [order for shelf in shelves if shelf for order in shelf.orders.values()]
    fills = [fill for shelf in shelves if shelf for fill in shelf.fills]
    ids = {account.account_id for account in chosen}
    return {
        "orders": [_order(order) for order in sorted(orders, key=lambda order: order.events[0][0])],
        "fills": [_fill(fill) for fill in sorted(fills, key=lambda fill: fill.seq)],
        "balances": {
            account.account_id: {
                "spot": {
                    asset: {"free": units_text(b.free), "locked": units_text(b.locked)}
                    for asset, b in sorted(account.balances.items())
                },
                "usdm": {},
            }
            for account in chosen
        },
        "positions": [],
        "income": [],
        "transfers": [
            {
                "seq": t.seq,
                "account_id": t.account_id,
                "market": "spot",
                "asset": t.asset,
                "amount": units_text(t.amount),
                "at": t.time_ms,
            }
            for t in exchange.transfers
            if t.account_id in ids
        ],
        "seq": exchange.seq,
    }


def _order(order: Order) -> dict[str, Any]:
    instrument = order.instrument
    return {
        "account_id": order.account_id,
        "market": instrument.market,
        "symbol": instrument.symbol,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "price": instrument.price_text(order.price),
        "orig_qty": instrument.qty_text(order.steps),
        "executed_qty": instrument.qty_text(order.executed),
        "status": order.status.value,
        "events": [{"seq": seq, "status": str(status), "at": at} for seq, status, at in order.events],
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "seq": fill.seq,
        "account_id": fill.account_id,
        "market": fill.instrument.market,
        "symbol": fill.instrument.symbol,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "side": fill.side,
        "price": units_text(fill.price),
        "qty": units_text(fill.quantity),
        "quote_qty": units_text(fill.quote),
        "commission": units_text(fill.commission),
        "commission_asset": fill.commission_asset,
        "maker": fill.maker,
        "realized_pnl": units_text(fill.realized),
        "counterparty": fill.counterparty,
        "at": fill.time_ms,
    }
