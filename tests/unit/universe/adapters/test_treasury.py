"""The rate-limit treasury: charged before a call, corrected by its answer, the last of it for what ends risk."""

from datetime import UTC, datetime, timedelta

import pytest

from trading.domain.errors import VenueUnavailable
from universe.adapters.binance.budget import (
    BudgetUnavailable,
    LayeredBudget,
    LocalBudget,
    Window,
    announced,
    default_windows,
)
from universe.adapters.binance.lanes import CEILINGS, Priority, lane_of
from universe.adapters.binance.treasury import MemoryBackoffStore, WeightTreasury
from universe.adapters.binance.weights import UNKNOWN, orders_counted, request_weight


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def treasury(used: int) -> tuple[WeightTreasury, Clock]:
    clock = Clock()
    made = WeightTreasury("v", MemoryBackoffStore(), now=clock)
    made.saw_headers({"X-MBX-USED-WEIGHT-1M": str(used)})
    return made, clock


def test_an_entry_is_allowed_at_and_denied_over_four_fifths_of_the_weight() -> None:
    treasury(4799)[0].permit(Priority.ENTRY)
    with pytest.raises(VenueUnavailable) as denied:
        treasury(4800)[0].permit(Priority.ENTRY)
    assert denied.value.retry_after_s == 30.0  # to the end of the minute


@pytest.mark.parametrize(
    ("priority", "last"),
    [
        (Priority.BULK, 3000),
        (Priority.READ, 4200),
        (Priority.ENTRY, 4800),
        (Priority.REDUCE, 5100),
        (Priority.PROTECT, 5280),
        (Priority.QUERY, 5400),
        (Priority.EXIT, 6000),
    ],
)
def test_each_lane_stops_at_its_own_share(priority: Priority, last: int) -> None:
    treasury(last - 1)[0].permit(priority)
    with pytest.raises(VenueUnavailable):
        treasury(last)[0].permit(priority)


def test_a_fifth_of_every_limit_is_kept_for_cancels_look_ups_protection_and_reducing() -> None:
    kept = {Priority.EXIT, Priority.QUERY, Priority.PROTECT, Priority.REDUCE}
    assert all(share <= 0.8 for lane, share in CEILINGS.items() if lane not in kept)
    assert sorted(CEILINGS.values(), reverse=True) == list(CEILINGS.values())


def test_a_tenth_of_the_weight_is_kept_for_cancels_alone() -> None:
    """200 working orders are canceled one by one after every other lane has had all it may have."""
    clock = Clock()
    made = WeightTreasury("v", MemoryBackoffStore(), market="usdm", now=clock)
    for lane in reversed(Priority):
        while lane is not Priority.EXIT:
            try:
                made.permit(lane, weight=5)
            except VenueUnavailable:
                break
    for _ in range(200):
        made.permit(Priority.EXIT)


def test_a_cancel_is_allowed_when_everything_else_is_denied() -> None:
    full, _ = treasury(5999)
    for priority in Priority:
        if priority is not Priority.EXIT:
            with pytest.raises(VenueUnavailable):
                full.permit(priority)
    full.permit(Priority.EXIT)


def test_what_is_on_its_way_counts_before_its_answer_is_back() -> None:
    """Each of several callers that assumes it owns the whole weight gets the address banned (pain 22)."""
    clock, budget, store = Clock(), LocalBudget(), MemoryBackoffStore()
    several = [WeightTreasury("v", store, budget=budget, now=clock) for _ in range(4)]
    sent = 0
    for turn in range(400):
        try:
            several[turn % 4].permit(Priority.READ, weight=20)
        except VenueUnavailable:
            break
        sent += 20
    assert sent == 4200
    several[0].permit(Priority.EXIT)


def test_the_venues_own_figure_raises_the_count_and_an_older_one_does_not_lower_it() -> None:
    made, _ = treasury(100)
    made.permit(Priority.BULK, weight=2800)
    made.saw_headers({"X-MBX-USED-WEIGHT-1M": "1000"})
    with pytest.raises(VenueUnavailable):
        made.permit(Priority.BULK, weight=101)
    made.permit(Priority.BULK, weight=100)


def test_orders_are_counted_by_account_and_the_last_of_them_are_for_protection() -> None:
    made, clock = treasury(0)
    for _ in range(80):
        made.permit(Priority.ENTRY, orders=1, account="one")
    with pytest.raises(VenueUnavailable) as denied:
        made.permit(Priority.ENTRY, orders=1, account="one")
    assert (denied.value.code, denied.value.retry_after_s) == (-1015, 10.0)
    made.permit(Priority.ENTRY, orders=1, account="other")
    made.permit(Priority.PROTECT, orders=1, account="one")
    made.saw_headers({"X-MBX-ORDER-COUNT-10S": "95"}, account="one")
    with pytest.raises(VenueUnavailable):
        made.permit(Priority.PROTECT, orders=1, account="one")
    clock.advance(10)
    made.permit(Priority.ENTRY, orders=1, account="one")


def test_the_venues_counter_starts_again_with_the_minute() -> None:
    full, clock = treasury(6000)
    clock.advance(30)
    full.permit(Priority.BULK)


def test_a_ban_stops_every_call_of_every_process_until_it_ends() -> None:
    store, clock = MemoryBackoffStore(), Clock()
    one, other = WeightTreasury("v", store, now=clock), WeightTreasury("v", store, now=clock)
    other.permit(Priority.EXIT)
    one.saw_limit(90, "HTTP 418")
    clock.advance(2)  # the other process looks again at most a second later
    with pytest.raises(VenueUnavailable) as denied:
        other.permit(Priority.EXIT)
    assert denied.value.retry_after_s == 88.0
    clock.advance(88)
    other.permit(Priority.EXIT)


def test_after_a_wait_what_ends_risk_goes_first() -> None:
    """Bots that come back all at once are refused again, until they are banned (pain 23)."""
    made, clock = treasury(1)
    made.saw_limit(5, "HTTP 429")
    clock.advance(5)
    for priority in (Priority.EXIT, Priority.QUERY, Priority.PROTECT, Priority.REDUCE):
        made.permit(priority)
    for priority in (Priority.ENTRY, Priority.READ, Priority.BULK):
        with pytest.raises(VenueUnavailable):
            made.permit(priority)
    clock.advance(10)
    made.permit(Priority.ENTRY)


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    made, clock = treasury(1)
    made.saw_limit(100, "HTTP 418")
    made.saw_limit(1, "HTTP 429")
    clock.advance(50)
    with pytest.raises(VenueUnavailable):
        made.permit(Priority.READ)


class Broken(LocalBudget):
    def charge(self, venue, charges, now):  # type: ignore[no-untyped-def]
        raise BudgetUnavailable("down")

    def correct(self, key, at_least, expires_s):  # type: ignore[no-untyped-def]
        raise BudgetUnavailable("down")

    def block(self, venue, until):  # type: ignore[no-untyped-def]
        raise BudgetUnavailable("down")


def test_a_process_that_counts_alone_takes_a_tenth_and_still_cancels() -> None:
    clock = Clock()
    alone = WeightTreasury(
        "v", MemoryBackoffStore(), budget=LayeredBudget(Broken(), LocalBudget(share=0.1)), now=clock
    )
    sent = 0
    while True:
        try:
            alone.permit(Priority.READ, weight=20)
        except VenueUnavailable:
            break
        sent += 20
    assert sent == 420
    alone.permit(Priority.EXIT)
    alone.saw_limit(60, "HTTP 429")
    with pytest.raises(VenueUnavailable):
        alone.permit(Priority.EXIT)


class Failing(LocalBudget):
    """A count that can be reached until it is told to fail."""

    down = False

    def charge(self, venue, charges, now):  # type: ignore[no-untyped-def]
        if Failing.down:
            raise BudgetUnavailable("down")
        return super().charge(venue, charges, now)

    def correct(self, key, at_least, expires_s):  # type: ignore[no-untyped-def]
        if Failing.down:
            raise BudgetUnavailable("down")
        super().correct(key, at_least, expires_s)


def test_a_count_that_takes_over_begins_where_the_one_before_it_was() -> None:
    """The venue has counted on: 4,000 of 6,000 are gone, so data has 200 left and not 4,200."""
    Failing.down = False
    clock = Clock()
    made = WeightTreasury(
        "v", MemoryBackoffStore(), budget=LayeredBudget(Failing(), LocalBudget()), now=clock
    )
    for _ in range(80):
        made.permit(Priority.ENTRY, weight=50, orders=1, account="one")
    Failing.down = True
    for _ in range(4):
        made.permit(Priority.READ, weight=50)
    with pytest.raises(VenueUnavailable):
        made.permit(Priority.READ, weight=50)
    with pytest.raises(VenueUnavailable) as full:
        made.permit(Priority.ENTRY, weight=1, orders=1, account="one")
    assert full.value.code == -1015  # the account's orders, too
    Failing.down = False
    clock.advance(2)  # back to the first count, which has not seen the last four calls
    with pytest.raises(VenueUnavailable):
        made.permit(Priority.READ, weight=50)


def test_a_process_that_starts_within_a_minute_begins_where_the_others_are() -> None:
    """A count of its own that is empty does not mean that the venue has counted nothing."""
    clock, store = Clock(), MemoryBackoffStore()
    WeightTreasury("v", store, now=clock).saw_headers({"X-MBX-USED-WEIGHT-1M": "4180"})
    late = WeightTreasury("v", store, budget=LocalBudget(), now=clock)
    late.permit(Priority.READ, weight=20)
    with pytest.raises(VenueUnavailable):
        late.permit(Priority.READ, weight=20)


def test_a_process_alone_still_cancels_when_the_venue_has_counted_much_of_others() -> None:
    alone = WeightTreasury("v", MemoryBackoffStore(), budget=LocalBudget(share=0.1), now=Clock())
    alone.saw_headers({"X-MBX-USED-WEIGHT-1M": "5000"})
    with pytest.raises(VenueUnavailable):
        alone.permit(Priority.ENTRY)
    for _ in range(600):
        alone.permit(Priority.EXIT)
    with pytest.raises(VenueUnavailable):
        alone.permit(Priority.EXIT)


def test_the_announced_limits_replace_the_documented_ones() -> None:
    info = {
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        ]
    }
    assert announced(info) == (Window("weight", 60, 1200), Window("orders", 10, 50))
    assert Window("orders", 60, 1200) in default_windows("usdm")


@pytest.mark.parametrize(
    ("method", "path", "params", "weight"),
    [
        ("GET", "/api/v3/openOrders", {}, 80),
        ("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}, 6),
        ("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT"}, 20),
        ("GET", "/api/v3/account", {}, 20),
        ("GET", "/api/v3/order", {"symbol": "BTCUSDT"}, 4),
        ("POST", "/api/v3/order", {}, 1),
        ("DELETE", "/api/v3/openOrders", {}, 1),
        ("GET", "/fapi/v1/openOrders", {}, 40),
        ("GET", "/fapi/v1/openAlgoOrders", {}, 40),
        ("GET", "/fapi/v1/income", {}, 30),
        ("GET", "/fapi/v3/positionRisk", {}, 5),
        ("POST", "/fapi/v1/order", {}, 0),
        ("GET", "/fapi/v1/klines", {"limit": 1000}, 5),
        ("GET", "/api/v3/somethingNew", {}, UNKNOWN),
    ],
)
def test_a_call_costs_what_is_documented(method: str, path: str, params: dict, weight: int) -> None:
    assert request_weight(method, path, params) == weight


@pytest.mark.parametrize(
    ("method", "path", "params", "lane"),
    [
        ("DELETE", "/api/v3/order", {}, Priority.EXIT),
        ("POST", "/fapi/v1/countdownCancelAll", {}, Priority.EXIT),
        ("GET", "/api/v3/order", {}, Priority.QUERY),
        ("GET", "/fapi/v1/openAlgoOrders", {}, Priority.QUERY),
        ("GET", "/api/v3/account", {}, Priority.READ),
        ("GET", "/api/v3/allOrders", {}, Priority.READ),
        ("POST", "/api/v3/order", {"type": "LIMIT"}, Priority.ENTRY),
        ("POST", "/api/v3/order", {"type": "STOP_LOSS"}, Priority.PROTECT),
        ("POST", "/fapi/v1/algoOrder", {"type": "STOP_MARKET"}, Priority.PROTECT),
        ("POST", "/api/v3/orderList/oco", {}, Priority.PROTECT),
        ("POST", "/fapi/v1/order", {"type": "LIMIT", "reduceOnly": True}, Priority.REDUCE),
        ("POST", "/fapi/v1/order", {"type": "LIMIT", "reduceOnly": False}, Priority.ENTRY),
        # Spot has no flag: a sale is the way out. On USD-M a sale may open a short.
        ("POST", "/api/v3/order", {"type": "LIMIT", "side": "SELL"}, Priority.REDUCE),
        ("POST", "/api/v3/order", {"type": "LIMIT", "side": "BUY"}, Priority.ENTRY),
        ("POST", "/fapi/v1/order", {"side": "SELL", "positionSide": "BOTH"}, Priority.ENTRY),
        ("POST", "/fapi/v1/order", {"side": "SELL", "positionSide": "LONG"}, Priority.REDUCE),
        ("POST", "/fapi/v1/order", {"side": "BUY", "positionSide": "SHORT"}, Priority.REDUCE),
        ("POST", "/fapi/v1/order", {"side": "BUY", "positionSide": "LONG"}, Priority.ENTRY),
    ],
)
def test_a_call_is_in_the_lane_of_what_it_does(method: str, path: str, params: dict, lane: Priority) -> None:
    assert lane_of(method, path, params) is lane


def test_a_call_adds_as_many_orders_as_it_may_make() -> None:
    assert [
        orders_counted(method, path)
        for method, path in (
            ("POST", "/api/v3/order"),
            ("POST", "/api/v3/order/test"),
            ("POST", "/api/v3/orderList/oco"),
            ("POST", "/api/v3/orderList/otoco"),
            ("PUT", "/fapi/v1/order"),
            ("DELETE", "/api/v3/order"),
            ("GET", "/api/v3/order"),
        )
    ] == [1, 0, 2, 3, 1, 0, 0]
