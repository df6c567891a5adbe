"""What clients may ask of the spot market."""

from __future__ import annotations

from testnet.api.call import Endpoint
from testnet.spot.api import account, history, order_lists, orders, public, replacement, tickers, wallet

ENDPOINTS: list[Endpoint] = [
    *public.ENDPOINTS,
    *tickers.ENDPOINTS,
    *orders.ENDPOINTS,
    *order_lists.ENDPOINTS,
    *replacement.ENDPOINTS,
    *history.ENDPOINTS,
    *account.ENDPOINTS,
    *wallet.ENDPOINTS,
]
