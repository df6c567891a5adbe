"""The text a receiver gets: one notice, or several in one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from governance.domain.notices.notice import Severity

LONGEST_TITLE: Final = 120
LONGEST_BODY: Final = 3500
"""Below Telegram's limit of 4096 characters with room for the title; Slack and Discord take it, too (split by them)."""
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


def digest_message(lines: Sequence[Line], *, environment: str) -> Message:
    """Several notices as one message, the gravest first, oldest first among equals.

    Raises
    ------
    ValueError : no line.
    """
    if not lines:
        raise ValueError("a digest needs one line at least")
    ordered = sorted(lines, key=lambda line: (_ORDER[line.severity], line.at))
    title = f"[{environment.upper()}] {len(lines)} notices, the gravest: {ordered[0].title}"
    body, kept = "", 0
    for line in ordered:
        entry = f"{line.at} {line.severity.value.upper()} {line.title}" + (
            f" ({_again(line)})" if line.repeats else ""
        )
        if len(body) + len(entry) > LONGEST_BODY - 200:
            break
        body, kept = f"{body}{entry}\n", kept + 1
    if kept < len(ordered):
        body += f"and {len(ordered) - kept} more\n"
    return Message(ordered[0].severity, _cut(title, LONGEST_TITLE), body + ordered[0].link)


def _again(line: Line) -> str:
    if not line.repeats:
        return ""
    return f"heard {line.repeats} more time{'' if line.repeats == 1 else 's'} since it was last told"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
