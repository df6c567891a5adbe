"""Questions over the WebSocket API and what an account is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets

from ..conftest import Client, Venue


async def ask_plain(socket: Any, method: str, params: dict[str, Any]) -> Any:
    await socket.send(json.dumps({"id": method, "method": method, "params": params}))
    while True:
        answer = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if answer.get("id") == method:
            return answer


async def ask_ws(socket: Any, client: Client, method: str, **params: Any) -> Any:
    values = {**params, "apiKey": client.api_key, "timestamp": int(time.time() * 1000)}
    payload = "&".join(f"{name}={values[name]}" for name in sorted(values))
    return await ask_plain(socket, method, {**values, "signature": client.sign(payload)})


@asynccontextmanager
async def subscribed(venue: Venue, client: Client) -> AsyncIterator[Any]:
    """An account's private events in the order they came."""
    async with websockets.connect(venue.ws + "/ws-api/v3") as socket:
        answer = await ask_ws(socket, client, "userDataStream.subscribe.signature")
        assert answer["status"] == 200
        yield socket


async def told(socket: Any, name: str, *, until: str, member: str = "X") -> list[dict[str, Any]]:
    """Every event of a name until one says this."""
    found: list[dict[str, Any]] = []
    while not found or found[-1][member] != until:
        event = json.loads(await asyncio.wait_for(socket.recv(), 5))["event"]
        if event["e"] == name:
            found.append(event)
    return found
