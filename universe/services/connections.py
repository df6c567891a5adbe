"""Building the adapters of the configured environment."""

from __future__ import annotations

from django.conf import settings

from universe.adapters.binance import (
    BinanceSpotMarketData,
    BinanceUsdmMarketData,
    CallObserver,
    Endpoints,
    LimitObserver,
    Priority,
    SpotClient,
    UsdmClient,
    endpoints_for,
)
from universe.services.venue_backoffs import weight_treasury

SPOT_VENUE = "binance-spot"
USDM_VENUE = "binance-usdm"


def configured_endpoints() -> Endpoints:
    """Addresses of `BINANCE_ENV`."""
    return endpoints_for(settings.BINANCE_ENV, local_url=settings.TESTNET_URL)


def spot_client(
    *,
    api_key: str | None = None,
    api_secret: str | None = None,
    private_key: str | None = None,
    observer: CallObserver | None = None,
    account: str = "",
    on_limited: LimitObserver | None = None,
) -> SpotClient:
    """A client of the configured spot venue with the shared weight treasury. One per thread."""
    return SpotClient(
        configured_endpoints(),
        venue=SPOT_VENUE,
        api_key=api_key,
        api_secret=api_secret,
        private_key=private_key,
        treasury=weight_treasury(SPOT_VENUE, address=configured_endpoints().spot_rest),
        account=account,
        on_limited=on_limited,
        observer=observer,
    )


def usdm_client(
    *,
    api_key: str | None = None,
    api_secret: str | None = None,
    private_key: str | None = None,
    observer: CallObserver | None = None,
    account: str = "",
    on_limited: LimitObserver | None = None,
) -> UsdmClient:
    """A client of the configured USD-M venue, whose weights are counted apart from spot's. One per thread."""
    return UsdmClient(
        configured_endpoints(),
        venue=USDM_VENUE,
        api_key=api_key,
        api_secret=api_secret,
        private_key=private_key,
        treasury=weight_treasury(USDM_VENUE, address=configured_endpoints().futures_rest, market="usdm"),
        account=account,
        on_limited=on_limited,
        observer=observer,
    )


def spot_market_data(
    *, observer: CallObserver | None = None, priority: Priority = Priority.READ
) -> BinanceSpotMarketData:
    """The MarketData port of the configured spot venue. One per thread."""
    return BinanceSpotMarketData(spot_client(observer=observer), priority=priority)


def usdm_market_data(
    *, observer: CallObserver | None = None, priority: Priority = Priority.READ
) -> BinanceUsdmMarketData:
    """The MarketData port of the configured USD-M venue. One per thread."""
    return BinanceUsdmMarketData(usdm_client(observer=observer), priority=priority)


def market_data_of(market: str, *, priority: Priority = Priority.READ) -> BinanceSpotMarketData:
    """The MarketData port of a market, `spot` or `usdm`."""
    return usdm_market_data(priority=priority) if market == "usdm" else spot_market_data(priority=priority)
