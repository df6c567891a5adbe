"""Somebody else who trades on an account of the paper exchange, with a key of their own: what a stolen key, another
program or a person on the venue's own pages would do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from typing import Any

from django.conf import settings

from governance.adapters.testnet_control import ControlError, control

ORDER_PATHS = {"spot": "/api/v3/order", "usdm": "/fapi/v1/order"}
OPEN_ALGO_ORDERS, OPEN_ORDERS = "/fapi/v1/algoOpenOrders", "/api/v3/openOrders"


class Stranger:
    """Trades without the platform's knowledge.

    Raises
    ------
    ControlError : not the paper exchange, no such account there, or it refuses.
    """

    def __init__(self, account: str, market: str) -> None:
        self.market = market
        key = control("POST", f"/accounts/{_account_id(account)}/keys", {"permissions": {"trade": True}})
        self._key, self._secret = key["api_key"], key["api_secret"]

    def trade(self, symbol: str, side: str, quantity: Decimal) -> tuple[Decimal, Decimal]:
        """Buy or sell at the market; returns what was traded, and what is left of it after its commission, base."""
        answer = self._call(
            "POST",
            ORDER_PATHS[self.market],
            symbol=symbol,
            side=side,
            type="MARKET",
            quantity=f"{quantity:f}",
            newOrderRespType="RESULT" if self.market == "usdm" else "FULL",
        )
        done = Decimal(answer["executedQty"])
        paid = (
            Decimal(fill["commission"])
            for fill in answer.get("fills", ())
            if symbol.startswith(fill["commissionAsset"])
        )
        return done, done - sum(paid, Decimal(0))

    def cancel_all(self, symbol: str) -> None:
        """Take back what rests in a symbol: on USD-M its conditional orders, on spot every order."""
        path = OPEN_ALGO_ORDERS if self.market == "usdm" else OPEN_ORDERS
        self._call("DELETE", path, symbol=symbol)

    def set_leverage(self, symbol: str, leverage: int) -> int:
        """Change the leverage of a contract; returns what it was."""
        (before,) = self._call("GET", "/fapi/v1/symbolConfig", symbol=symbol)
        self._call("POST", "/fapi/v1/leverage", symbol=symbol, leverage=str(leverage))
        return int(before["leverage"])

    def _call(self, method: str, path: str, **params: str) -> Any:
        query = urllib.parse.urlencode(
            {**params, "recvWindow": "5000", "timestamp": str(time.time_ns() // 10**6)}
        )
        signature = hmac.new(self._secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(  # noqa: S310  our own paper exchange
            f"{settings.TESTNET_URL}{path}?{query}&signature={signature}",
            method=method,
            headers={"X-MBX-APIKEY": self._key},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = f"the paper exchange answered {error.code}: {error.read()[:200]!r}"
            raise ControlError(said, status=error.code) from None
        except (OSError, ValueError) as error:
            raise ControlError(f"the paper exchange cannot be reached: {error}") from None


def _account_id(name: str) -> str:
    for row in reversed(control("GET", "/accounts")):
        if name in (row["account_id"], row["name"]):
            return str(row["account_id"])
    raise ControlError(f"the paper exchange has no account {name}")


def transfer(account: str, market: str, asset: str, amount: Decimal) -> None:
    """Move money in (positive) or out of an account of the paper exchange. Raises ControlError."""
    body = {"asset": asset, "amount": f"{amount:f}", "market": market}
    control("POST", f"/accounts/{_account_id(account)}/transfer", body)
