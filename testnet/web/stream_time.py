"""Stream events with their times in microseconds, for connections that ask for `timeUnit=MICROSECOND`."""

from __future__ import annotations

from typing import Any

_TIMES = frozenset({"E", "T", "O", "C", "w"})


def in_microseconds(payload: Any) -> Any:
    """A copy of a spot event (or list of them) with every time in microseconds."""
    if isinstance(payload, list):
        return [in_microseconds(row) for row in payload]
    scaled = {name: _scaled(value) if name in _TIMES else value for name, value in payload.items()}
    if isinstance(scaled.get("k"), dict):
        # A candle ends in its last microsecond, not at the beginning of its last millisecond.
        scaled["k"] = {**scaled["k"], "t": scaled["k"]["t"] * 1_000, "T": scaled["k"]["T"] * 1_000 + 999}
    return scaled


def _scaled(value: Any) -> Any:
    # Prices share letters with times (`w`, `C`) but are strings.
    return value * 1_000 if isinstance(value, int) and not isinstance(value, bool) else value
