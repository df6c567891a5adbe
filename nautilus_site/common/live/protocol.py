"""What clients may send over the live socket."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from nautilus_site.common.services.outbox import TOPICS

MAXIMUM_FRAME_BYTES = 4096
MESSAGES_PER_SECOND = 5

MALFORMED = 4400
NOT_PERMITTED = 4403
SLOW = 4408
TOO_LARGE = 1009
TOO_MANY = 4429
UNAVAILABLE = 1013


class ProtocolError(Exception):
    """The client broke the protocol: close with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`batched`: events come as `{"events": [...]}`, as many in a message as there are; otherwise one a message."""

    topics: tuple[str, ...]
    resume: int | None
    batched: bool = False


def parse_frame(text: str | None) -> Subscribe | None:
    """A subscription, or None for an answer to our ping.

    Raises
    ------
    ProtocolError : too large, binary, not the JSON we expect, unknown topic.
    """
    if text is None:
        raise ProtocolError(MALFORMED, "send text")
    if len(text) > MAXIMUM_FRAME_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAXIMUM_FRAME_BYTES:
        raise ProtocolError(TOO_LARGE, f"a frame may have {MAXIMUM_FRAME_BYTES} bytes")
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(MALFORMED, "not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError(MALFORMED, 'expected {"subscribe": [...], "resume": id or null}')
    if set(message) == {"pong"}:
        return None
    if "subscribe" not in message or not set(message) <= {"subscribe", "resume", "batch"}:
        raise ProtocolError(
            MALFORMED, 'expected {"subscribe": [...], "resume": id or null, "batch": true or false}'
        )
    batched = message.get("batch", False)
    if not isinstance(batched, bool):
        raise ProtocolError(MALFORMED, "batch: expected true or false")
    return Subscribe(parse_topics(message["subscribe"]), parse_resume(message.get("resume")), batched)


def parse_topics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ProtocolError(MALFORMED, "subscribe: expected a list of topics")
    for topic in value:
        if not isinstance(topic, str) or topic not in TOPICS:
            raise ProtocolError(MALFORMED, f"unknown topic, expected of {', '.join(TOPICS)}")
    return tuple(dict.fromkeys(value))


def parse_resume(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ProtocolError(MALFORMED, "resume: expected an event id or null")
    return value


class MessageRate:
    """Counts messages of the last second."""

    def __init__(self, limit: int = MESSAGES_PER_SECOND) -> None:
        self._times: deque[float] = deque(maxlen=limit + 1)
        self._limit = limit

    def count(self, now_s: float | None = None) -> None:
        """Raises ProtocolError at one message above the limit within a second."""
        moment = time.monotonic() if now_s is None else now_s
        self._times.append(moment)
        if len(self._times) > self._limit and moment - self._times[0] < 1.0:
            raise ProtocolError(TOO_MANY, f"at most {self._limit} messages per second")
