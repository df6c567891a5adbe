"""What a ccxt or ccxt.pro object is made from: the addresses of the examples, and options."""

from __future__ import annotations

from typing import Any

from ccxt_addresses import urls
from steps import API_KEY, API_SECRET

# Leaves out the coin-M contracts and the margin and deposit data that ccxt asks for by default.
LEAN = {"fetchMarkets": {"types": ["spot", "linear"]}, "fetchCurrencies": False, "fetchMargins": False}


def settings(**options: Any) -> dict[str, Any]:
    """The constructor's argument; `options` are ccxt's own."""
    return {"apiKey": API_KEY, "secret": API_SECRET, "urls": urls(), "options": options}
