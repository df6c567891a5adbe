"""What is done because of one request carries its number: log lines, audit entries, messages to workers."""

from __future__ import annotations

import re
import uuid
from typing import Final

import structlog

CAUSE: Final = "nautilus_request"
"""Header of a message: the request that caused it, empty where none did."""
_NUMBER = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def request_now() -> str:
    """The number of the request that is being worked on; empty where there is none."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def request_begin(given: object = "") -> str:
    """Take a well-formed number, or make one; log lines and audit entries carry it from here on."""
    number = given if isinstance(given, str) and _NUMBER.fullmatch(given) else uuid.uuid4().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=number)
    return number


def request_end() -> None:
    """What comes next belongs to another request."""
    structlog.contextvars.clear_contextvars()
