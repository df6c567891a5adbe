"""The text a receiver gets: one notice, or several in one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from governance.domain.notices.notice import Severity

LONGEST_TITLE: Final = 120
LONGEST_BODY: Final = 3500
"""Below Telegram's limit of 4096 characters with room for the title; Slack and Discord take it, too (split by them)."""
_ROOM: Final = LONGEST_BODY - 300
"""For lines; the rest is for the link behind them."""
_ORDER: Final = {Severity.critical: 0, Severity.warning: 1, Severity.info: 2, Severity.success: 3}


@dataclass(frozen=True, slots=True)
class Line:
    """One notice as it goes into a message. `at` is the time in UTC as text, `link` a whole address."""

    severity: Severity
    title: str
    text: str
    link: str
    at: str
    repeats: int = 0
    """How often the same was heard again since it was last told."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    severity: Severity
    title: str
    body: str


def single_message(line: Line, *, environment: str) -> Message:
    """One notice as one message."""
    parts = [part for part in (line.text, _again(line), f"{line.at} UTC", line.link) if part]
    title = _cut(f"[{environment.upper()}] {line.severity.value.upper()}: {line.title}", LONGEST_TITLE)
    return Message(line.severity, title, _cut("\n".join(parts), LONGEST_BODY))


def lines_that_fit(lines: Sequence[Line]) -> int:
    """How many of the lines, from the first on, fit into one digest; one at least."""
    room = _ROOM
    for count, line in enumerate(lines):
        room -= len(_entry(line)) + 1
        if room < 0:
            return max(count, 1)
    return len(lines)


def digest_message(lines: Sequence[Line], *, environment: str) -> Message:
    """Several notices as one message, the gravest first, oldest first among equals.

    Raises
    ------
    ValueError : no line, or more than fit: what was not said must not count as told.
    """
    if not lines:
        raise ValueError("a digest needs one line at least")
    if (fitting := lines_that_fit(lines)) < len(lines):
        raise ValueError(f"{fitting} of {len(lines)} lines fit into a digest")
    ordered = sorted(lines, key=lambda line: (_ORDER[line.severity], line.at))
    title = f"[{environment.upper()}] {len(lines)} notices, the gravest: {ordered[0].title}"
    body = "".join(f"{_entry(line)}\n" for line in ordered)
    return Message(ordered[0].severity, _cut(title, LONGEST_TITLE), body + ordered[0].link)


def _entry(line: Line) -> str:
    again = f" ({_again(line)})" if line.repeats else ""
    return f"{line.at} {line.severity.value.upper()} {line.title}{again}"


def _again(line: Line) -> str:
    if not line.repeats:
        return ""
    return f"heard {line.repeats} more time{'' if line.repeats == 1 else 's'} since it was last told"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
