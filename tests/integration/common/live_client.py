"""A socket to an ASGI application without a server, and events numbered as the relay numbers them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from nautilus_site.common.live.events import event_of
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services.event_numbering import events_number
from nautilus_site.common.services.leases import lease_acquire, lease_release
from nautilus_site.common.services.outbox import publish

Header = tuple[bytes, bytes]


class SocketClient(ApplicationCommunicator):
    """What a WebSocket client does, as ASGI messages."""

    def __init__(self, application: Any, path: str, headers: list[Header]) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "headers": headers,
            "query_string": b"",
            "subprotocols": [],
        }
        super().__init__(application, scope)

    async def connect(self) -> tuple[bool, int | None]:
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(5)
        return answer["type"] == "websocket.accept", answer.get("code")

    async def send_text(self, text: str) -> None:
        await self.send_input({"type": "websocket.receive", "text": text})

    async def send_json(self, message: Any) -> None:
        await self.send_text(json.dumps(message))

    async def next_json(self) -> Any:
        answer = await self.receive_output(10)
        assert answer["type"] == "websocket.send", answer
        return json.loads(answer["text"])

    async def next_close(self) -> Any:
        answer = await self.receive_output(5)
        assert answer["type"] == "websocket.close", answer
        return answer

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(5)


def number_events(*datas: dict[str, Any], topic: str = "fills") -> list[dict[str, Any]]:
    """Publish and number as the relay does, without pushing."""
    for data in datas:
        publish(topic, data)
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    numbers: list[int] = []
    while batch := events_number(held):
        numbers += [number for number, *_ in batch]
    lease_release(held)
    return [event_of(row) for row in OutboxEvent.objects.filter(event_id__in=numbers).order_by("event_id")]


numbered = sync_to_async(number_events)
