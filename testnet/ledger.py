"""The oracle: everything that happened, for tests and reconciliation to compare with."""

from __future__ import annotations

from typing import Any

from testnet.exchange import Exchange
from testnet.orders import Fill, Order
from testnet.usdm.algo import AlgoOrder
from testnet.usdm.income import Income
from testnet.usdm.positions import Position
from testnet.values import units_text


def ledger_json(exchange: Exchange, account_id: str | None) -> dict[str, Any]:
    """Everything of one account or all, with one sequence for everything."""
    accounts = exchange.accounts
    chosen = [accounts.get(account_id)] if account_id else list(accounts.by_id.values())
    shelves = [
        engine.shelves.get(account.account_id) for engine in exchange.engines.values() for account in chosen
    ]
    orders = [order for shelf in shelves if shelf for order in shelf.orders.values()]
    fills = [fill for shelf in shelves if shelf for fill in shelf.fills]
    ids = {account.account_id for account in chosen}
    usdm = exchange.usdm_market
    income = [row for account in chosen for row in usdm.income.of(account.account_id)]
    return {
        "orders": [_order(order) for order in sorted(orders, key=lambda order: order.events[0][0])],
        "fills": [_fill(fill) for fill in sorted(fills, key=lambda fill: fill.seq)],
        "balances": {
            account.account_id: {
                "spot": {
                    asset: {"free": units_text(b.free), "locked": units_text(b.locked)}
                    for asset, b in sorted(account.balances.items())
                },
                "usdm": {
                    asset: {"wallet": units_text(units)}
                    for asset, units in sorted(usdm.accounts.of(account.account_id).wallets.items())
                },
            }
            for account in chosen
        },
        "positions": [
            _position(account.account_id, position)
            for account in chosen
            for position in usdm.accounts.of(account.account_id).held()
        ],
        "income": [_income(row) for row in sorted(income, key=lambda row: row.seq)],
        "algo_orders": [
            _algo(algo) for account in chosen for algo in usdm.algos.shelf(account.account_id).by_id.values()
        ],
        "transfers": _transfers(exchange, ids),
        "seq": exchange.seq,
    }


def _transfers(exchange: Exchange, ids: set[str]) -> list[dict[str, Any]]:
    rows = [("spot", row) for row in exchange.transfers] + [
        ("usdm", row) for row in exchange.usdm_market.transfers
    ]
    return [
        {
            "seq": row.seq,
            "account_id": row.account_id,
            "market": market,
            "asset": row.asset,
            "amount": units_text(row.amount),
            "at": row.time_ms,
        }
        for market, row in sorted(rows, key=lambda pair: pair[1].seq)
        if row.account_id in ids
    ]


def _position(account_id: str, position: Position) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "symbol": position.symbol,
        "position_side": position.side,
        "quantity": units_text(position.steps * position.instrument.step),
        # What the quantity was bought (negative: sold) for: wallets minus costs are what was transferred.
        "cost": units_text(position.cost),
        "entry_price": units_text(position.entry_price()),
        "isolated_wallet": units_text(position.isolated),
        "realized_pnl": units_text(position.accumulated),
        "at": position.updated_ms,
    }


def _income(row: Income) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "account_id": row.account_id,
        "symbol": row.symbol,
        "type": row.kind,
        "asset": row.asset,
        "amount": units_text(row.units),
        "info": row.info,
        "trade_id": row.trade_id,
        "at": row.time_ms,
    }


def _algo(algo: AlgoOrder) -> dict[str, Any]:
    return {
        "account_id": algo.account_id,
        "market": "usdm",
        "symbol": algo.instrument.symbol,
        "algo_id": algo.algo_id,
        "client_algo_id": algo.client_algo_id,
        "side": algo.side,
        "position_side": algo.position_side,
        "type": algo.type,
        "trigger_price": units_text(algo.trigger_price),
        "price": units_text(algo.price),
        "qty": units_text(algo.quantity),
        "status": algo.status.value,
        "order_id": algo.order_id,
        "events": [{"seq": seq, "status": status, "at": at} for seq, status, at in algo.events],
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
        "position_side": fill.position_side,
        "counterparty": fill.counterparty,
        "at": fill.time_ms,
    }
