"""Reaching an account's venue with the key of a purpose; one connection per thread and purpose."""

from __future__ import annotations

import threading

from trading.adapters.binance.spot import BinanceSpot
from trading.adapters.binance.usdm import BinanceUsdm
from trading.domain.values import Market
from trading.models import Account, Credential
from trading.services.breakers import venue_call_observed
from trading.services.credentials import credential_open
from universe.services import spot_client, usdm_client

Venue = BinanceSpot | BinanceUsdm

_connections = threading.local()


def execution_venue(account: Account, purpose: str = Credential.Purpose.EXECUTOR) -> Venue:
    """The venue as this thread reaches it for this account; made anew when the key was rotated."""
    known: dict[tuple[int, str], tuple[str, Venue]] = getattr(_connections, "known", {})
    _connections.known = known
    api_key, secret = credential_open(account=account, purpose=purpose)
    cached = known.get((account.pk, purpose))
    if cached is not None and cached[0] == api_key:
        return cached[1]
    venue = _connected(account, api_key, secret)
    known[(account.pk, purpose)] = (api_key, venue)
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
    spot = spot_client(api_key=api_key, api_secret=secret, observer=venue_call_observed, account=account.name)
    if account.venue.market == Market.spot:
        return BinanceSpot(spot)
    client = usdm_client(
        api_key=api_key, api_secret=secret, observer=venue_call_observed, account=account.name
    )
    return BinanceUsdm(client, wallet=spot)
