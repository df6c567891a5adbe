"""What a request names, read in one statement: its account, symbol and strategy, and whether it was asked before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection

from nautilus_site.common.tables import Table
from trading.models import Account, Strategy
from trading.services.controls.limit_versions import LIMITS_DIGEST
from trading.services.market import Market
from universe.models import Instrument, Venue

_ACCOUNTS, _VENUES = Table(Account), Table(Venue)
_INSTRUMENTS, _STRATEGIES = Table(Instrument), Table(Strategy)


@dataclass(frozen=True, slots=True)
class Named:
    """What was found; None where nothing is called so. An account that is not active is not found."""

    existing: int | None
    account: Account | None
    instrument: Instrument | None
    strategy: Strategy | None
    market: Market
    limits: str
    """The digest of the limits over `limit_scopes`."""
    limit_scopes: list[str]


@cache
def _named_sql() -> str:
    return f"""
SELECT (SELECT id FROM trading_order WHERE intent_key = %(intent_key)s), {LIMITS_DIGEST},
       quote.bid, quote.ask, quote.received_at, quote.last_price, quote.mark_price,
       {_ACCOUNTS.columns("account")}, {_VENUES.columns("venue")},
       {_INSTRUMENTS.columns("instrument")}, {_STRATEGIES.columns("strategy")}
  FROM (SELECT %(account)s::text AS name) AS asked
  LEFT JOIN trading_account AS account ON account.name = asked.name AND account.is_active
  LEFT JOIN universe_venue AS venue ON venue.id = account.venue_id
  LEFT JOIN universe_instrument AS instrument
    ON instrument.venue_id = account.venue_id AND instrument.symbol = %(symbol)s
  LEFT JOIN universe_quote AS quote ON quote.instrument_id = instrument.id
  LEFT JOIN trading_strategy AS strategy ON strategy.name = %(strategy)s
"""  # noqa: S608  only names of our own columns


def named_read(*, account: str, symbol: str, strategy: str, intent_key: str) -> Named:
    """Look everything up by name; `strategy` is empty where none was named."""
    scopes = ["global", f"account:{account}", f"symbol:{symbol}"]
    parameters: dict[str, Any] = {
        "account": account,
        "symbol": symbol,
        "strategy": strategy,
        "intent_key": intent_key,
        "limit_scopes": scopes,
    }
    with connection.cursor() as cursor:
        cursor.execute(_named_sql(), parameters)
        existing, digest, *values = cursor.fetchone()
    market, rest = Market(*values[:5]), values[5:]
    parts: list[Any] = []
    for table in (_ACCOUNTS, _VENUES, _INSTRUMENTS, _STRATEGIES):
        parts.append(table.read_if(rest[: table.width]))
        rest = rest[table.width :]
    found, venue, instrument, by = parts
    if found is not None:
        found.venue = venue
        if instrument is not None:
            instrument.venue = venue
    return Named(existing, found, instrument, by, market, digest, scopes)
