"""Where the paper exchange is, and a key to it: from the environment, or of a new account.

`TESTNET_URL` (default http://127.0.0.1:9100), `API_KEY` and `API_SECRET`. Without a key an account is opened over
the control API, which the exchange offers when it runs with `--control`.
"""

from __future__ import annotations

import json
import os
import urllib.request

URL = os.environ.get("TESTNET_URL", "http://127.0.0.1:9100")
WS = URL.replace("http", "ws", 1)
MONEY = {"balances": {"USDT": "100000", "BTC": "1"}, "futures_balances": {"USDT": "100000"}}


def api_key() -> tuple[str, str]:
    """The key and its secret."""
    if "API_KEY" in os.environ:
        return os.environ["API_KEY"], os.environ["API_SECRET"]
    body = json.dumps(MONEY).encode()
    request = urllib.request.Request(f"{URL}/testnet/v1/accounts", body)  # noqa: S310  (the caller's address)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        made = json.load(answer)
    return made["api_key"], made["api_secret"]
