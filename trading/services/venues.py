"""Reaching an account's venue with the key of a purpose; one connection per thread and purpose."""

from __future__ import annotations

import threading

from trading.adapters.binance.spot import BinanceSpot
from trading.models import Account, Credential
from trading.services.breakers import venue_call_observed
from trading.services.credentials import credential_open
from universe.services import spot_client

_connections = threading.local()


def execution_venue(account: Account, purpose: str = Credential.Purpose.EXECUTOR) -> BinanceSpot:
    """The venue as this thread reaches it for this account; made anew when the key was rotated."""
    known: dict[tuple[int, str], tuple[str, BinanceSpot]] = getattr(_connections, "known", {})
    _connections.known = known
    api_key, secret = credential_open(account=account, purpose=purpose)
    cached = known.get((account.pk, purpose))
    if cached is not None and cached[0] == api_key:
        return cached[1]
    venue = BinanceSpot(spot_client(api_key=api_key, api_secret=secret, observer=venue_call_observed))
    known[(account.pk, purpose)] = (api_key, venue)
    return venue
