"""What a browser session says of its log-in: how old it is, and whether a second factor was part of it."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

AUTHENTICATED_AT = "authenticated_at"
"""Session key: epoch seconds of the last time this session's person logged in, with all that they are asked for."""
SECOND_FACTOR = "second_factor"
"""Session key: present where a second factor was part of the log-in, or was confirmed in this session."""


def remember_authentication(session: MutableMapping[str, Any]) -> None:
    """Stamp the session. `User.last_login` would not do: it moves with log-ins elsewhere."""
    session[AUTHENTICATED_AT] = time.time()


def authentication_age_s(session: Any) -> float | None:
    """Seconds since the log-in; None when unknown or in the future, which callers must treat as too old."""
    stamp = session.get(AUTHENTICATED_AT) if session is not None else None
    if not isinstance(stamp, int | float):
        return None
    age = time.time() - stamp
    return age if age >= 0 else None
