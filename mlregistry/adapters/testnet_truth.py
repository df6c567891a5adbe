"""The regimes the paper exchange's market was in; no real exchange can tell."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from nautilus_site.common.errors import ApplicationError

TIMEOUT_S: Final = 20


@dataclass(frozen=True, slots=True)
class Told:
    """Names of the regimes, and (open time in ms, regime) of each known minute."""

    regimes: tuple[str, ...]
    rows: tuple[tuple[int, int], ...]


def truth_read(symbol: str, market: str, *, start_ms: int, end_ms: int) -> Told:
    """Ask the paper exchange which regime a symbol was in, minute by minute.

    Raises
    ------
    ApplicationError : NO_TRUTH, this is not the paper exchange, or it did not answer as expected.
    """
    if settings.BINANCE_ENV != "local":
        raise ApplicationError("NO_TRUTH", "only the paper exchange knows true regimes (BINANCE_ENV=local)")
    headers = {}
    token = Path(settings.NAUTILUS_HOME) / "testnet" / "control_token"
    if token.is_file():
        headers["X-Testnet-Control"] = token.read_text(encoding="utf-8").strip()
    query = urllib.parse.urlencode({"symbol": symbol, "market": market, "start": start_ms, "end": end_ms})
    request = urllib.request.Request(  # noqa: S310  our own paper exchange
        f"{settings.TESTNET_URL}/testnet/v1/truth?{query}", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            members = json.load(answer)
        return Told(tuple(members["states"]), tuple((int(at), int(state)) for at, state in members["rows"]))
    except urllib.error.HTTPError as error:
        told = error.read()[:200].decode(errors="replace")
        raise ApplicationError("NO_TRUTH", f"the paper exchange answered {error.code}: {told}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ApplicationError("NO_TRUTH", f"the paper exchange cannot be asked: {error}") from None
