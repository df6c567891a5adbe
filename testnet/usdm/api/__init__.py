"""What clients may ask of the USD-M futures market."""

from __future__ import annotations

from testnet.api.call import Endpoint
from testnet.listen_key_api import FUTURES_ENDPOINTS, SPOT_ENDPOINTS
from testnet.usdm.api import account, algo, history, orders, positions, prices, public, statistics, tickers
from testnet.wallet_transfers import ENDPOINTS as TRANSFER_ENDPOINTS

ENDPOINTS: list[Endpoint] = [
    *public.ENDPOINTS,
    *tickers.ENDPOINTS,
    *prices.ENDPOINTS,
    *statistics.ENDPOINTS,
    *orders.ENDPOINTS,
    *history.ENDPOINTS,
    *algo.ENDPOINTS,
    *account.ENDPOINTS,
    *positions.ENDPOINTS,
    *FUTURES_ENDPOINTS,
    *SPOT_ENDPOINTS,
    *TRANSFER_ENDPOINTS,
]
