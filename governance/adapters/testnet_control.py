"""The control interface of the paper exchange, for rehearsals; no other environment has one."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings


class ControlError(Exception):
    """The paper exchange did not do what it was asked; the message says what it answered.

    `status` is that of the answer; None where there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def control(method: str, path: str, body: Any = None) -> Any:
    """Call `/testnet/v1` + path.

    Raises
    ------
    ControlError : not the paper exchange, unreachable, or refused.
    """
    if settings.BINANCE_ENV != "local":
        raise ControlError("faults are put into the paper exchange only (BINANCE_ENV=local)")
    headers = {"Content-Type": "application/json"}
    token = Path(settings.NAUTILUS_HOME) / "testnet" / "control_token"
    if token.is_file():
        headers["X-Testnet-Control"] = token.read_text(encoding="utf-8").strip()
    request = urllib.request.Request(  # noqa: S310  our own paper exchange
        f"{settings.TESTNET_URL}/testnet/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers=headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = f"the paper exchange answered {error.code}: {error.read()[:200]!r}"
        raise ControlError(said, status=error.code) from None
    except (OSError, ValueError) as error:
        raise ControlError(f"the paper exchange cannot be reached: {error}") from None
