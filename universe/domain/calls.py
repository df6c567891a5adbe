"""What came of a call to a venue."""

from __future__ import annotations

from enum import StrEnum


class CallOutcome(StrEnum):
    """How a call ended, for breakers and metrics. A refusal is an answer: the venue works."""

    OK = "ok"
    ERROR = "error"
    UNKNOWN = "unknown"
