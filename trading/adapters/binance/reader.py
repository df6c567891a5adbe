"""Looking at an account with a key that may only read, by a client that can only GET.

It shares nothing with the clients that send: there is no method, path or parameter here that could make an order,
and the venue refuses the key should there ever be one.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import requests

from trading.domain.errors import VenueUnavailable
from trading.domain.values import decimal_of

TIMEOUT_S: Final = (2.0, 5.0)
RECV_WINDOW_MS: Final = 5000
_ACCOUNT: Final = {"spot": "/api/v3/account", "usdm": "/fapi/v3/account"}
_TIME: Final = {"spot": "/api/v3/time", "usdm": "/fapi/v1/time"}


@dataclass(frozen=True, slots=True)
class AccountReading:
    """What the venue says an account holds, asset -> amount; on USD-M the wallet with its unrealised result."""

    holdings: dict[str, Decimal]
    unrealized: Decimal
    used_weight: int | None


class AccountReader:
    """One read-only key on one account."""

    def __init__(
        self,
        base_url: str,
        *,
        market: str,
        api_key: str,
        api_secret: str,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._market = market
        self._secret = api_secret.encode()
        self._clock_ms = clock_ms
        self._offset_ms: int | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"X-MBX-APIKEY": api_key, "User-Agent": "nautilus-hmm-exporter"})

    def account(self) -> AccountReading:
        """Read the holdings.

        Raises
        ------
        VenueUnavailable : no answer, or a refusal; `code` says which where the venue does.
        """
        if self._offset_ms is None:
            self._offset_ms = int(self._get(_TIME[self._market], "")[0]["serverTime"]) - self._clock_ms()
        query = urlencode({"timestamp": self._clock_ms() + self._offset_ms, "recvWindow": RECV_WINDOW_MS})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        body, weight = self._get(_ACCOUNT[self._market], f"?{query}&signature={signature}")
        try:
            return _reading(self._market, body, weight)
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(None, f"an answer that cannot be read: {error!r}") from error

    def _get(self, path: str, query: str) -> tuple[Any, int | None]:
        try:
            answer = self._session.get(f"{self._base}{path}{query}", timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise VenueUnavailable(None, f"no answer from the venue: {type(error).__name__}") from error
        weight = answer.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if answer.status_code != 200:
            self._offset_ms = None
            wait = answer.headers.get("Retry-After", "")
            raise VenueUnavailable(
                float(wait) if wait.isdigit() else None, f"HTTP {answer.status_code}", _code(answer)
            )
        try:
            return answer.json(), int(weight) if weight.isdigit() else None
        except ValueError as error:
            raise VenueUnavailable(None, "a body that is not JSON") from error


def _reading(market: str, body: Any, weight: int | None) -> AccountReading:
    if market == "usdm":
        rows = [(a["asset"], decimal_of(str(a["walletBalance"]))) for a in body["assets"]]
        unrealized = decimal_of(str(body["totalUnrealizedProfit"]))
    else:
        rows = [
            (b["asset"], decimal_of(str(b["free"])) + decimal_of(str(b["locked"]))) for b in body["balances"]
        ]
        unrealized = Decimal(0)
    return AccountReading({str(asset): amount for asset, amount in rows if amount}, unrealized, weight)


def _code(answer: requests.Response) -> int | None:
    try:
        code = answer.json().get("code")
    except (ValueError, AttributeError):
        return None
    return code if isinstance(code, int) else None
