"""Private events on the stream sockets, to whoever subscribed to an account's listen key."""

from __future__ import annotations

from typing import Any, Protocol

from testnet.api.call import Venue
from testnet.clock import wall_ms
from testnet.listen_keys import ListenKey, ListenKeys
from testnet.usdm.events import UsdmEvents
from testnet.web.connection import Connection
from testnet.web.hub import Hub


class KeyStreams:
    """The listen keys of one market, as streams of the hub."""

    def __init__(self, keys: ListenKeys, hub: Hub, market: str) -> None:
        self._keys = keys
        self._hub = hub
        self._market = market

    def follows(self, account_id: str) -> bool:
        """True when anybody is subscribed to the account's key."""
        found = self._keys.of(self._market, account_id)
        return found is not None and self._hub.wants(found.key)

    def connections(self, account_id: str) -> set[Connection]:
        """Connections subscribed to the account's key."""
        found = self._keys.of(self._market, account_id)
        return self._hub.followers(found.key) if found is not None else set()

    def deliver(self, account_id: str, event: dict[str, Any], symbol: str | None) -> None:
        """Send an event to everybody who is subscribed to the account's key, faults permitting."""
        found = self._keys.of(self._market, account_id)
        if found is not None:
            self._hub.publish(found.key, event, event["e"], symbol, account_id=account_id)


class KeyedStreams(Protocol):
    """Whoever also delivers to listen keys, by market."""

    keyed: dict[str, KeyStreams]


def announce_expiry(hub: Hub, found: ListenKey) -> None:
    """Tell the subscribers of a key that it has ended."""
    event = {"e": "listenKeyExpired", "E": wall_ms(), "listenKey": found.key}
    hub.publish(found.key, event, "listenKeyExpired", account_id=found.account_id)


def connect_private_streams(venue: Venue, hub: Hub, users: KeyedStreams) -> None:
    """Let both markets' private events out under listen keys."""
    exchange = venue.exchange
    keys = exchange.listen_keys
    futures = KeyStreams(keys, hub, "usdm")
    users.keyed["spot"] = KeyStreams(keys, hub, "spot")
    users.keyed["usdm"] = futures
    events = UsdmEvents(venue, exchange.usdm_market, futures.follows, futures.deliver)
    exchange.private["usdm"] = exchange.usdm_market.listener = events
    hub.listen_key_market = keys.market_of
    keys.on_expired = lambda found: announce_expiry(hub, found)
