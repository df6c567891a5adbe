"""One account's user stream into the journal, and a reconciliation after every connection."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db import DatabaseError

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.adapters.binance.user_stream import UserStream
from trading.daemons.storing import in_database, kept
from trading.models import Account, Credential
from trading.services.credentials import credential_open
from trading.services.reconcile import reconcile_request
from trading.services.venue_events import venue_event_store
from universe.adapters.binance.events import Connected, Disconnected
from universe.services import configured_endpoints, stream_connected, stream_disconnected, stream_heard

log = structlog.get_logger(__name__)

KEY_RETRY_S: Final = 5.0
STORE_RETRY_S: Final = 0.5


class UserFeed:
    """Follows one account for ever; a rotated key takes over at the next connection."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._name = f"user:{account.name}"

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                key = await self._key()
            except (ApplicationError, DatabaseError) as error:
                # One account without a key must not end the market's streams; its reconciliation still runs.
                log.error("user_stream_without_key", account=self._account.name, error=str(error)[:200])
                await asyncio.sleep(KEY_RETRY_S)
                continue
            stream = UserStream(configured_endpoints().spot_ws_api, api_key=key[0], api_secret=key[1])
            age = asyncio.create_task(self._age(stream))
            try:
                async for item in stream.events():
                    await kept(self._store, item, retry_s=STORE_RETRY_S)
                    if isinstance(item, Disconnected) and await self._key_changed(key):
                        break
            finally:
                age.cancel()

    async def _key(self) -> tuple[str, str]:
        key: tuple[str, str] = await in_database(
            credential_open, account=self._account, purpose=Credential.Purpose.FEED
        )
        return key

    async def _key_changed(self, key: tuple[str, str]) -> bool:
        try:
            return await self._key() != key
        except (ApplicationError, DatabaseError):
            return False

    async def _store(self, item: Connected | Disconnected | dict[str, Any]) -> None:
        match item:
            case Connected():
                await in_database(stream_connected, name=self._name, at=_at(item.at_ns))
                # Whatever happened while nobody listened: the reconciliation closes the gap when it is clean.
                await in_database(reconcile_request, account=self._account, actor="feed", trigger="gap")
            case Disconnected():
                await in_database(
                    stream_disconnected, name=self._name, at=_at(item.at_ns), reason=item.reason
                )
            case _:
                await in_database(venue_event_store, account_id=self._account.pk, event=item)

    async def _age(self, stream: UserStream) -> None:
        while True:
            await asyncio.sleep(2)
            if time.monotonic() - stream.heard_at < 10:
                with contextlib.suppress(DatabaseError):
                    await in_database(stream_heard, name=self._name, at=now())


def _at(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)
