"""What a client did, step by step, as one JSON object on the last line of stdout.

Address and key come from where the examples take theirs (`testnet/examples/account.py`).
"""

from __future__ import annotations

import json
import traceback
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from account import URL, WS, api_key

__all__ = ["API_KEY", "API_SECRET", "URL", "WS", "Outcome", "Steps", "control"]

API_KEY, API_SECRET = api_key()


def control(path: str, body: dict[str, Any]) -> Any:
    """One call of the exchange's control API, which no client library has."""
    request = urllib.request.Request(f"{URL}/testnet/v1{path}", data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


class Outcome:
    """The value a step ended with."""

    value: Any = None


class Steps:
    """Runs every step, so that one defect of the exchange does not hide the next."""

    def __init__(self) -> None:
        self._results: dict[str, dict[str, Any]] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[Outcome]:
        """Record the value of the body's `Outcome`, or the exception that ended it."""
        outcome = Outcome()
        try:
            yield outcome
        # The boundary of a step: the test reads the error and decides whether it was expected.
        except Exception as error:  # noqa: BLE001
            self._results[name] = {
                "error": [kind.__name__ for kind in type(error).__mro__],
                "code": getattr(error, "code", None) or getattr(error, "error_code", None),
                "text": str(error),
                "traceback": traceback.format_exc(limit=-4),
            }
        else:
            self._results[name] = {"value": outcome.value}

    def report(self) -> None:
        """Print everything; Decimals and the like as text."""
        print("\n" + json.dumps(self._results, default=str), flush=True)  # noqa: T201
