"""One account's private events, sent to whoever subscribed over the WebSocket API or a listen key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from testnet.api.time_unit import in_microseconds
from testnet.faults import Edge, Faults
from testnet.web.connection import Connection
from testnet.web.listen_keys import KeyStreams

WIRE = "/ws-api/v3"


@dataclass(slots=True)
class Subscription:
    """One account followed on one connection."""

    connection: Connection
    subscription_id: int
    account_id: str
    held: str | None = None
    microseconds: bool = False


class UserStreams:
    """Who follows which account, and the delivery of its events."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        # Streams by listen key that carry the same events, or (futures) that alone carry them.
        self.keyed: dict[str, KeyStreams] = {}
        self._by_account: dict[str, list[Subscription]] = {}

    def subscribe(self, subscription: Subscription) -> None:
        """Start sending an account's events."""
        self._by_account.setdefault(subscription.account_id, []).append(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop sending."""
        rows = self._by_account.get(subscription.account_id, [])
        if subscription in rows:
            rows.remove(subscription)

    def connections(self, account_id: str | None) -> set[Connection]:
        """Connections that follow an account, or any."""
        found = {
            row.connection
            for owner, rows in self._by_account.items()
            if account_id in (None, owner)
            for row in rows
        }
        if account_id is not None:
            for streams in self.keyed.values():
                found |= streams.connections(account_id)
        return found

    def follows(self, account_id: str) -> bool:
        """True when anybody listens to an account's spot events."""
        if self._by_account.get(account_id):
            return True
        streams = self.keyed.get("spot")
        return streams is not None and streams.follows(account_id)

    def deliver(self, account_id: str, event: dict[str, Any], symbol: str | None) -> None:
        """Send a spot event to everybody who follows the account, faults permitting."""
        streams = self.keyed.get("spot")
        if streams is not None:
            streams.deliver(account_id, event, symbol)
        for row in list(self._by_account.get(account_id, ())):
            shown = in_microseconds(event) if row.microseconds else event
            text = json.dumps({"subscriptionId": row.subscription_id, "event": shown}, separators=(",", ":"))
            effects = self._faults.at_event(
                Edge((WIRE,), symbol=symbol, account_id=account_id, event=event["e"])
            )
            if "drop_event" in effects:
                continue
            if "reorder_events" in effects and row.held is None:
                row.held = text
                continue
            row.connection.send(text)
            if "duplicate_event" in effects:
                row.connection.send(text)
            if row.held is not None:
                row.connection.send(row.held)
                row.held = None
