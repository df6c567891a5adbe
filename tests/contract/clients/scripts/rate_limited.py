"""One client asking for the deepest book, 250 of the 6000 units of a minute, until it is refused.

rate_limited.py python-binance | ccxt | sdk
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from steps import URL, Steps

steps = Steps()


def python_binance() -> Callable[[], Any]:
    from binance import Client

    class LocalClient(Client):
        API_URL = f"{URL}/api"

    client = LocalClient(ping=False)

    def ask() -> Any:
        client.get_order_book(symbol="BTCUSDT", limit=5000)
        return int(client.response.headers["X-MBX-USED-WEIGHT-1M"])

    return ask


def by_ccxt() -> Callable[[], Any]:
    import ccxt
    from ccxt_settings import LEAN, settings

    # Its own throttle would keep it below the limit.
    binance = ccxt.binance({**settings(**LEAN), "enableRateLimit": False})

    def ask() -> Any:
        binance.public_get_depth({"symbol": "BTCUSDT", "limit": 5000})
        return int(binance.last_response_headers["X-Mbx-Used-Weight-1m"])

    return ask


def by_sdk() -> Callable[[], Any]:
    from binance_sdk_spot.spot import ConfigurationRestAPI, Spot

    rest = Spot(config_rest_api=ConfigurationRestAPI(base_path=URL, retries=0)).rest_api

    def ask() -> Any:
        (weight,) = rest.depth(symbol="BTCUSDT", limit=5000).rate_limits
        return weight.count

    return ask


ask = {"python-binance": python_binance, "ccxt": by_ccxt, "sdk": by_sdk}[sys.argv[1]]()
used: list[int] = []
with steps("refused") as out:
    for _ in range(60):  # two minutes may share the run
        used.append(ask())
with steps("used") as out:
    out.value = used
steps.report()
