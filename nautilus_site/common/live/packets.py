"""An event on its way to many readers: read once, written as JSON once, shared by all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nautilus_site.common.live.groups import Event


class Packet:
    """One event as clients see it, with its JSON."""

    __slots__ = ("_text", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._text: str | None = None

    @property
    def id(self) -> int | None:
        """The event's number; None outside the promise of delivery."""
        number: int | None = self.event["id"]
        return number

    @property
    def topic(self) -> str:
        return str(self.event["topic"])

    @property
    def text(self) -> str:
        """Compact JSON, made when the first reader asks."""
        if self._text is None:
            self._text = compact(self.event)
        return self._text


def batch_text(packets: Iterable[Packet]) -> str:
    """Several events in one message: `{"events": [...]}`."""
    return f'{{"events":[{",".join([packet.text for packet in packets])}]}}'


def compact(message: dict[str, Any]) -> str:
    """JSON without spaces."""
    return json.dumps(message, separators=(",", ":"), default=str)
