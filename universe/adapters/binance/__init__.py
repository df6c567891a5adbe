"""Binance transport: clients, error classes, request-weight treasury, public data and market streams."""

from universe.adapters.binance.clients import CallObserver, LimitObserver, SpotClient
from universe.adapters.binance.endpoints import Endpoints, endpoints_for
from universe.adapters.binance.lanes import Priority
from universe.adapters.binance.public import BinanceSpotMarketData, BinanceUsdmMarketData
from universe.adapters.binance.streams import MarketStream
from universe.adapters.binance.treasury import BackoffStore, WeightState, WeightTreasury
from universe.adapters.binance.usdm_client import UsdmClient

__all__ = [
    "BackoffStore",
    "BinanceSpotMarketData",
    "BinanceUsdmMarketData",
    "CallObserver",
    "Endpoints",
    "LimitObserver",
    "MarketStream",
    "Priority",
    "SpotClient",
    "UsdmClient",
    "WeightState",
    "WeightTreasury",
    "endpoints_for",
]
