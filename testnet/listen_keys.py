"""Listen keys: names under which an account's private events can be streamed; they live on wall time."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

from testnet.errors import ApiError
from testnet.journal import Journal
from testnet.persistence import Handler, Record

VALID_MS = 60 * 60_000
KEY_LENGTH = 64
_ALPHABET = string.ascii_letters + string.digits


@dataclass(slots=True)
class ListenKey:
    """One key; `expires_ms` is wall time."""

    key: str
    market: str
    account_id: str
    expires_ms: int


class ListenKeys:
    """At most one key per account and market; a `Part`, as clients reconnect with the key they have."""

    name = "listen_keys"

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_key: dict[str, ListenKey] = {}
        self._by_owner: dict[tuple[str, str], ListenKey] = {}
        # The venue has taken the spot ones away; some clients still start with them.
        self.serves_spot = True
        self.on_expired: Callable[[ListenKey], None] | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def of(self, market: str, account_id: str) -> ListenKey | None:
        """The key of an account in a market, None when it has none."""
        return self._by_owner.get((market, account_id))

    def market_of(self, key: str) -> str | None:
        """The market a stream name is a listen key of, None when it is no such key."""
        found = self._by_key.get(key)
        return found.market if found is not None else None

    def open(self, market: str, account_id: str, now_ms: int) -> ListenKey:
        """Create a key, or return and extend the one there is."""
        found = self._by_owner.get((market, account_id))
        if found is None:
            text = "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH))
            found = ListenKey(text, market, account_id, 0)
            self._put(found)
        self._extend(found, now_ms)
        return found

    def extend(self, market: str, account_id: str, key: str | None, now_ms: int) -> ListenKey:
        """Keep a key for another hour; ApiError -1125 when the account has no such key."""
        found = self._owned(market, account_id, key)
        self._extend(found, now_ms)
        return found

    def close(self, market: str, account_id: str, key: str | None) -> None:
        """End a key; ApiError -1125 when the account has no such key."""
        self._drop(self._owned(market, account_id, key))

    def wall_tick(self, now_ms: int) -> None:
        """End the keys whose hour is over."""
        for found in [row for row in self._by_key.values() if row.expires_ms <= now_ms]:
            if self.on_expired is not None:
                self.on_expired(found)
            self._drop(found)

    def _owned(self, market: str, account_id: str, key: str | None) -> ListenKey:
        found = self._by_owner.get((market, account_id))
        if found is None or (key is not None and key != found.key):
            raise ApiError(-1125, "This listenKey does not exist.")
        return found

    def _extend(self, found: ListenKey, now_ms: int) -> None:
        found.expires_ms = now_ms + VALID_MS
        self._journal.append(
            {
                "t": "listen_key",
                "key": found.key,
                "m": found.market,
                "a": found.account_id,
                "until": found.expires_ms,
            }
        )

    def _put(self, found: ListenKey) -> None:
        self._by_key[found.key] = found
        self._by_owner[found.market, found.account_id] = found

    def _drop(self, found: ListenKey) -> None:
        self._forget(found)
        self._journal.append({"t": "listen_key_end", "key": found.key})

    def _forget(self, found: ListenKey) -> None:
        del self._by_key[found.key]
        del self._by_owner[found.market, found.account_id]

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal records."""
        return {"listen_key": self._on_key, "listen_key_end": self._on_end}

    def _on_key(self, record: Record) -> None:
        self._put(ListenKey(record["key"], record["m"], record["a"], record["until"]))

    def _on_end(self, record: Record) -> None:
        found = self._by_key.get(record["key"])
        if found is not None:
            self._forget(found)

    def state(self) -> Record:
        """Everything, as plain JSON."""
        return {"keys": [list(astuple(found)) for found in self._by_key.values()]}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        for row in state["keys"]:
            self._put(ListenKey(*row))

    def recovered(self) -> None:
        """Nothing is armed: expiry is looked for at every tick."""
