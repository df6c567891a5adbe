"""One account's user stream into the journal, and a reconciliation after every connection.

Every feed process follows every account: the journal keeps each event once, so a second process loses nothing when the
first one dies. Only the one in charge of the venue says where the stream stands and asks for reconciliations.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db import DatabaseError, close_old_connections

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.adapters.binance.user_links import ListenKeys, SpotLink, UsdmLink
from trading.adapters.binance.user_stream import LinkEnded, UserLink, UserStream
from trading.daemons.charge import Charge
from trading.daemons.storing import in_database, kept
from trading.domain.values import Market
from trading.models import Account, Credential
from trading.services.credentials import credential_open, credential_stands
from trading.services.reconcile import reconcile_request
from trading.services.venue_events import venue_event_store
from universe.adapters.binance.events import Connected, Disconnected
from universe.services import (
    configured_endpoints,
    stream_connected,
    stream_disconnected,
    stream_heard,
    usdm_client,
)

log = structlog.get_logger(__name__)

STORE_RETRY_S: Final = 0.5
AGE_S: Final = 2.0
HEARD_WITHIN_S: Final = 10.0


class UserFeed:
    """Follows one account for ever. A key that is replaced or revoked ends its connection within seconds."""

    def __init__(self, account: Account, charge: Charge) -> None:
        self._account = account
        self._charge = charge
        self._name = f"user:{account.name}"
        self._connected_at: datetime | None = None
        self._api_key = ""

    async def run(self) -> None:
        """Run until cancelled."""
        stream = UserStream(self._link)
        age = asyncio.create_task(self._age(stream))
        try:
            async for item in stream.events():
                await kept(self._store, item, retry_s=STORE_RETRY_S)
        finally:
            age.cancel()

    async def take_over(self) -> None:
        """Say where the stream stands, as the process that is in charge from now on.

        What the one before missed in its last moments is in the journal if this connection stood by then; the
        reconciliation asked for here settles it either way.
        """
        if self._connected_at is not None:
            await self._told_connected(self._connected_at)
        else:
            await in_database(stream_disconnected, name=self._name, at=now(), reason="taken over unconnected")

    async def _link(self) -> UserLink:
        """Connect with the key in force now."""
        endpoints = configured_endpoints()
        try:
            api_key, secret = await in_database(
                credential_open, account=self._account, purpose=Credential.Purpose.FEED
            )
        except (ApplicationError, DatabaseError) as error:
            # One account without a key must not end the market's streams; its reconciliation still runs.
            log.error("user_stream_without_key", account=self._account.name, error=str(error)[:200])
            raise LinkEnded(f"no key: {error}") from error
        self._api_key = api_key
        if self._account.venue.market == Market.spot:
            return await SpotLink.open(endpoints.spot_ws_api, api_key=api_key, api_secret=secret)
        return await UsdmLink.open(endpoints.futures_streams, ListenKeys(_requests(api_key)))

    async def _store(self, item: Connected | Disconnected | dict[str, Any]) -> None:
        match item:
            case Connected():
                self._connected_at = _at(item.at_ns)
                log.info("user_stream_connected", account=self._account.name, in_charge=self._charge.is_held)
                if self._charge.is_held:
                    await self._told_connected(self._connected_at)
            case Disconnected():
                self._connected_at = None
                if self._charge.is_held:
                    await in_database(
                        stream_disconnected, name=self._name, at=_at(item.at_ns), reason=item.reason
                    )
            case _:
                await in_database(venue_event_store, account_id=self._account.pk, event=item)

    async def _told_connected(self, at: datetime) -> None:
        await in_database(stream_connected, name=self._name, at=at)
        # Whatever happened while nobody listened: the reconciliation closes the gap when it is clean.
        await in_database(reconcile_request, account=self._account, actor="feed", trigger="gap")

    async def _age(self, stream: UserStream) -> None:
        while True:
            await asyncio.sleep(AGE_S)
            with contextlib.suppress(DatabaseError):
                if self._api_key and not await in_database(
                    credential_stands,
                    account=self._account,
                    purpose=Credential.Purpose.FEED,
                    api_key=self._api_key,
                ):
                    log.warning("user_stream_key_over", account=self._account.name)
                    await stream.cut()
            if self._charge.is_held and time.monotonic() - stream.heard_at < HEARD_WITHIN_S:
                with contextlib.suppress(DatabaseError):
                    await in_database(stream_heard, name=self._name, at=now())


def _requests(api_key: str) -> Any:
    """Calls that carry this API key; each on a client of its own, as they run in whatever thread is free."""

    def request(method: str, path: str) -> Any:
        close_old_connections()  # the weight treasury's, of a thread that may have slept for long
        return usdm_client(api_key=api_key).keyed_request(method, path)

    return request


def _at(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)
