"""The table of endpoints, and the limits that go with each market."""

from __future__ import annotations

from collections import Counter

import pytest

from testnet.api.gate import BY_WS_METHOD, ENDPOINTS
from testnet.api.limits import RateLimits
from testnet.api.params import Params
from testnet.api.time_unit import in_microseconds, time_unit
from testnet.errors import ApiError

NOON_MS = 1_750_000_000_000 // 60_000 * 60_000


def test_no_two_endpoints_share_a_path_or_a_method_of_one_market() -> None:
    paths = Counter((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)
    assert [path for path, count in paths.items() if count > 1] == []
    methods = Counter((e.market, e.ws_method) for e in ENDPOINTS if e.ws_method)
    assert [method for method, count in methods.items() if count > 1] == []


def test_spot_websocket_api_has_every_documented_method() -> None:
    documented = {
        *("ping", "time", "exchangeInfo", "depth", "trades.recent", "trades.historical", "trades.aggregate"),
        *("klines", "uiKlines", "avgPrice", "ticker.24hr", "ticker.tradingDay", "ticker", "ticker.price"),
        *("ticker.book", "order.place", "order.test", "order.status", "order.cancel", "order.cancelReplace"),
        *("order.amend.keepPriority", "order.amendments", "orderList.place", "orderList.place.oco"),
        *("orderList.place.oto", "orderList.place.otoco", "orderList.status", "orderList.cancel"),
        *("openOrders.status", "openOrders.cancelAll", "openOrderLists.status", "allOrders", "allOrderLists"),
        *("myTrades", "myPreventedMatches", "myAllocations", "account.status", "account.commission"),
        "account.rateLimits.orders",
    }
    assert documented - set(BY_WS_METHOD["spot"]) == set()


@pytest.mark.parametrize(("market", "limit"), [("spot", 6_000), ("usdm", 2_400)])
def test_weight_is_limited_per_market_at_its_own_limit(market: str, limit: int) -> None:
    limits = RateLimits(enabled=True)
    other = "usdm" if market == "spot" else "spot"
    assert limits.charge("me", limit, NOON_MS, market) == limit
    with pytest.raises(ApiError, match=f"current limit is {limit} request weight per 1 MINUTE") as refused:
        limits.charge("me", 1, NOON_MS + 59_000, market)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 2)
    assert limits.charge("me", 1, NOON_MS, other) == 1
    assert limits.charge("me", 1, NOON_MS + 60_000, market) == 1


@pytest.mark.parametrize(
    ("market", "windows"),
    [
        ("spot", {"X-MBX-ORDER-COUNT-10S": 100, "X-MBX-ORDER-COUNT-1D": 200_000}),
        ("usdm", {"X-MBX-ORDER-COUNT-10S": 300, "X-MBX-ORDER-COUNT-1M": 1_200}),
    ],
)
def test_orders_are_limited_per_account_in_the_markets_own_windows(
    market: str, windows: dict[str, int]
) -> None:
    limits = RateLimits(enabled=True)
    for name, limit in windows.items():
        now = NOON_MS + 86_400_000 * list(windows).index(name)
        span = 10_000 if name.endswith("10S") else 60_000
        placed = 0
        while placed < limit:
            # Spread over the day or minute, so that only the window under test is ever full.
            step = now + (
                0 if span == 10_000 else placed // 90 * 10_000 % (span if market == "usdm" else 86_000_000)
            )
            many = min(90, limit - placed)
            limits.count_order("me", step, market, many)
            placed += many
        last = now if span == 10_000 else step
        assert limits.order_headers("me", last, market)[name] == str(limit)
        with pytest.raises(ApiError, match=f"current limit is {limit} orders per") as refused:
            limits.check_order("me", last, market)
        assert (refused.value.status, refused.value.code) == (429, -1015)
        limits.credit_order("me", last, market)
        limits.check_order("me", last, market)


def test_precision_complaint_reads_differently_on_futures() -> None:
    for market, message in (
        ("spot", "Parameter 'price' has too much precision."),
        ("usdm", "Precision is over the maximum defined for this asset."),
    ):
        with pytest.raises(ApiError) as refused:
            Params({"price": "1.000000001"}, market).units("price")
        assert refused.value.body() == {"code": -1111, "msg": message}


def test_every_time_and_nothing_else_is_scaled_to_microseconds() -> None:
    answer = {"time": 5, "workingTime": -1, "orderId": 7, "orders": [{"transactTime": 9, "price": "1"}]}
    assert in_microseconds(answer) == {
        "time": 5_000,
        "workingTime": -1,
        "orderId": 7,
        "orders": [{"transactTime": 9_000, "price": "1"}],
    }
    row = [60_000, "1", "1", "1", "1", "0", 119_999, "0", 3, "0", "0", "0"]
    assert in_microseconds([row], "/api/v3/klines")[0][:9:6] == [60_000_000, 119_999_000]
    with pytest.raises(ApiError, match="-1194"):
        time_unit("SECOND")
