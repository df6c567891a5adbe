"""The statement that reads orders with what they belong to: account, venue, instrument and strategy, in one row."""

from __future__ import annotations

from typing import Any

from nautilus_site.common.tables import Table


def orders_joined(
    orders: Table[Any],
    accounts: Table[Any],
    venues: Table[Any],
    instruments: Table[Any],
    strategies: Table[Any],
) -> str:
    """SELECT and FROM with each table's columns in this order; the order is `o`, its strategy may be absent."""
    return f"""
SELECT {orders.columns("o")}, {accounts.columns("a")}, {venues.columns("v")}, {instruments.columns("i")},
       {strategies.columns("s")}
  FROM trading_order AS o
  JOIN trading_account AS a ON a.id = o.account_id
  JOIN universe_venue AS v ON v.id = a.venue_id
  JOIN universe_instrument AS i ON i.id = o.instrument_id
  LEFT JOIN trading_strategy AS s ON s.id = o.strategy_id
"""  # noqa: S608  only names of our own columns
