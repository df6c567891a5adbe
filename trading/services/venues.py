"""Reaching an account's venue with the key of a purpose; one connection per thread and purpose."""

from __future__ import annotations

import threading

import structlog
from django.db import DatabaseError

from trading.adapters.binance.spot import BinanceSpot
from trading.adapters.binance.usdm import BinanceUsdm
from trading.domain.values import Market
from trading.models import Account, Credential
from trading.services.breakers import VENUE_BAN, VENUE_RATE_LIMIT, breaker_trip, venue_call_observed
from trading.services.credentials import credential_open, credential_sealed
from universe.services import spot_client, usdm_client

Venue = BinanceSpot | BinanceUsdm

log = structlog.get_logger(__name__)
HTTP_BANNED = 418

_connections = threading.local()


def execution_venue(account: Account, purpose: str = Credential.Purpose.EXECUTOR) -> Venue:
    """The venue as this thread reaches it for this account; made anew when the key was rotated."""
    known: dict[tuple[int, str], tuple[tuple[str, bytes], Venue]] = getattr(_connections, "known", {})
    _connections.known = known
    # The key as it is sealed: it is opened only when it is another one.
    sealed = credential_sealed(account=account, purpose=purpose)
    cached = known.get((account.pk, purpose))
    if cached is not None and cached[0] == sealed:
        return cached[1]
    venue = _connected(account, *credential_open(account=account, purpose=purpose))
    known[(account.pk, purpose)] = (sealed, venue)
    return venue


def futures_venue(account: Account, purpose: str = Credential.Purpose.EXECUTOR) -> BinanceUsdm:
    """The same for an account that must be one of USD-M.

    Raises
    ------
    TypeError : it is not.
    """
    venue = execution_venue(account, purpose)
    if not isinstance(venue, BinanceUsdm):
        raise TypeError(f"{account.name} is no USD-M account")
    return venue


def _connected(account: Account, api_key: str, secret: str) -> Venue:
    spot = spot_client(
        api_key=api_key,
        api_secret=secret,
        observer=venue_call_observed,
        account=account.name,
        on_limited=venue_limited,
    )
    if account.venue.market == Market.spot:
        return BinanceSpot(spot)
    client = usdm_client(
        api_key=api_key,
        api_secret=secret,
        observer=venue_call_observed,
        account=account.name,
        on_limited=venue_limited,
    )
    return BinanceUsdm(client, wallet=spot)


def probing_venue(account: Account, api_key: str, secret: str) -> Venue:
    """A connection with a key that is not in use: neither kept nor counted, whatever the venue answers."""
    spot = spot_client(api_key=api_key, api_secret=secret, account=account.name)
    if account.venue.market == Market.spot:
        return BinanceSpot(spot)
    return BinanceUsdm(usdm_client(api_key=api_key, api_secret=secret, account=account.name), wallet=spot)


def venue_limited(venue: str, status: int, wait_s: float) -> None:
    """Open the venue's breaker for as long as it wants us to wait. Never raises: the answer matters more."""
    try:
        breaker_trip(
            name=VENUE_BAN if status == HTTP_BANNED else VENUE_RATE_LIMIT,
            scope=f"venue:{venue}",
            reason=f"HTTP {status}: the venue wants us to wait {wait_s:g} s",
            for_s=wait_s,
        )
    except DatabaseError as error:
        log.warning("venue_limit_not_noted", venue=venue, status=status, error=type(error).__name__)
