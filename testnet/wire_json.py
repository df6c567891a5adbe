"""Reading JSON that strangers sent."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """Decode JSON.

    Raises
    ------
    ValueError : it is no JSON, or nested too deep to be decoded (which Python reports as a RecursionError).
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
