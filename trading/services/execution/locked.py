"""Orders with what they belong to, in one statement: locked for whoever settles or ends them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.db import connection

from nautilus_site.common.tables import Table
from trading.models import Account, Order, Strategy
from trading.services.execution.joined import orders_joined
from universe.models import Instrument, Venue

# The verdicts are as long as everything else together, and settling never looks at them.
_ORDERS = Table(Order, without=("checks", "adjustments"))
_ACCOUNTS, _VENUES, _INSTRUMENTS, _STRATEGIES = (
    Table(Account),
    Table(Venue),
    Table(Instrument),
    Table(Strategy),
)


@cache
def _locked_sql() -> str:
    joined = orders_joined(_ORDERS, _ACCOUNTS, _VENUES, _INSTRUMENTS, _STRATEGIES)
    return f"{joined} WHERE o.id = ANY(%(keys)s::bigint[]) ORDER BY o.id FOR NO KEY UPDATE OF o"


def orders_locked(keys: Iterable[int]) -> dict[int, Order]:
    """Orders by key, locked in the order of their keys; orders of one account or symbol share its object.

    What is asked of an order's verdicts is read when it is used.
    """
    parameters: dict[str, Any] = {"keys": list(keys)}
    with connection.cursor() as cursor:
        cursor.execute(_locked_sql(), parameters)
        rows = cursor.fetchall()
    accounts: dict[int, Account] = {}
    instruments: dict[int, Instrument] = {}
    strategies: dict[int, Strategy] = {}
    found = {}
    for row in rows:
        values, row = _ORDERS.split(row)
        order = _ORDERS.read(values)
        account, row = _ACCOUNTS.split(row)
        venue, row = _VENUES.split(row)
        instrument, strategy = _INSTRUMENTS.split(row)
        if order.account_id not in accounts:
            accounts[order.account_id] = _ACCOUNTS.read(account)
            accounts[order.account_id].venue = _VENUES.read(venue)
        if order.instrument_id not in instruments:
            instruments[order.instrument_id] = _INSTRUMENTS.read(instrument)
            if instruments[order.instrument_id].venue_id == accounts[order.account_id].venue_id:
                instruments[order.instrument_id].venue = accounts[order.account_id].venue
        if order.strategy_id is not None and order.strategy_id not in strategies:
            strategies[order.strategy_id] = _STRATEGIES.read(strategy)
        order.account = accounts[order.account_id]
        order.instrument = instruments[order.instrument_id]
        order.strategy = strategies[order.strategy_id] if order.strategy_id is not None else None
        found[order.pk] = order
    return found
