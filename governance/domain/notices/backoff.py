"""How long a message waits for a receiver that does not answer."""

from __future__ import annotations

from typing import Final

_WAITS_S: Final = (10.0, 30.0, 90.0, 300.0, 900.0)
_LONGEST_S: Final = 1800.0
CRITICAL_S: Final = 30.0
"""What is critical waits no longer than that for a receiver that was gone and may be back."""
PAUSE_S: Final = 300.0
"""Nor does any new message wait longer: it may be only the old ones that the receiver does not want."""
GIVE_UP_S: Final = 24 * 3600.0
"""A message that was due for so long is given up; the delivery log keeps it."""


def retry_after_s(attempts: int, *, jitter: float = 0.0) -> float:
    """Seconds until the next attempt after `attempts` (1 or more) that failed; jitter 0 to 1 adds up to a fifth.

    Raises
    ------
    ValueError : no attempt was made, or the jitter is outside 0 to 1.
    """
    if attempts < 1:
        raise ValueError(f"expected one attempt at least, was {attempts}")
    if not 0.0 <= jitter <= 1.0:
        raise ValueError(f"expected a jitter of 0 to 1, was {jitter}")
    wait = _WAITS_S[attempts - 1] if attempts <= len(_WAITS_S) else _LONGEST_S
    return wait * (1.0 + 0.2 * jitter)
