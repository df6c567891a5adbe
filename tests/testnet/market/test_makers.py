"""The makers' book: two-sided, uncrossed, accounted for, and fair to who waits in it."""

from __future__ import annotations

import math
import random

import pytest

from testnet.account_setup import create_account
from testnet.exchange import Exchange
from testnet.instruments import DEFAULT_SYMBOLS
from testnet.listing import Listing
from testnet.market.grids import ZONES, round_ticks
from testnet.market.makers import Makers
from testnet.market.profiles import profile_of
from testnet.market.regimes import REGIMES
from testnet.opening import MarketOptions, open_exchange
from testnet.orders import NewOrder
from testnet.values import SCALE

START_MS = 1_750_000_020_000
# The most levels a side can have: every cell of every grid (spacings are rounded down to half at most)
# and the touch.
MOST_LEVELS = 1 + sum(round(zone.reach_bps / zone.spacing_bps) * 2 + 2 for zone in ZONES)


def opened(symbol: str = "BTCUSDT") -> Exchange:
    return open_exchange(
        MarketOptions(
            seed=5,
            speed=0.0,
            start_ms=START_MS,
            symbols=(symbol,),
            usdm_symbols=(),
            minute_days=1,
            hour_days=1,
        )
    ).exchange


def background(listing: Listing) -> dict[int, int]:
    return {
        price * side.sign: level.background
        for side in (listing.book.bids, listing.book.asks)
        for price, level in side.levels.items()
    }


@pytest.mark.parametrize("symbol", [*DEFAULT_SYMBOLS, "LINKUSDT"])
def test_a_wandering_price_keeps_a_bounded_book_that_is_never_crossed(symbol: str) -> None:
    exchange = opened(symbol)
    engine, listing = exchange.spot, exchange.listing(symbol)
    rng = random.Random(1)
    makers = Makers(listing, rng)
    fair = start = low = high = float(listing.tape.last_price)
    for number in range(3_000):
        fair = max(10.0, fair * math.exp(rng.gauss(0.0, 8e-4)))
        low, high = min(low, fair), max(high, fair)
        makers.requote(engine, math.floor(fair) + 0.5, 0.5, regime=REGIMES[number // 100 % 4], seconds=0.1)
        bid, ask = listing.book.bids.best(), listing.book.asks.best()
        assert bid is not None
        assert ask is not None
        assert bid < ask
        assert abs(bid - fair) <= 1.5
        for side in (listing.book.bids, listing.book.asks):
            assert len(side) <= MOST_LEVELS
            worst = list(side.prices())[-1]
            # Levels the price ran away from are taken back: none beyond the widest grid and a cell.
            assert abs(worst - fair) <= (0.05 + 0.01) * max(fair, start) + 2
    assert high / low > 1.03, "the walk should have gone somewhere"


def test_a_price_that_multiplies_lays_new_grids_and_leaves_nothing_behind() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")
    makers = Makers(listing, random.Random(2))
    for fair in (6_000_000.5, 14_000_000.5, 1_000_000.5, 40_000.5):
        makers.requote(engine, fair, 0.5)
        prices = [abs(price) for price in background(listing)]
        assert min(prices) >= fair * 0.93
        assert max(prices) <= fair * 1.07


def test_depth_grows_with_distance_as_the_profile_says() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")
    profile = profile_of(listing.instrument, listing.character)
    regime, fair, count = REGIMES[1], 6_000_000.5, 400
    makers = Makers(listing, random.Random(3))
    behind = {10: 0.0, 25: 0.0}
    places = random.Random(8)
    for _ in range(count):
        # Anywhere between the grids' prices, and far enough from the last place to be quoted anew.
        centre = fair * (1 + 0.9 * places.random())
        makers.requote(engine, math.floor(centre) + 0.5, 0.5, regime=regime)
        for price, level in listing.book.bids.levels.items():
            distance = (centre - price) / centre * 1e4
            for bps in behind:
                if 0.1 < distance <= bps:
                    behind[bps] += level.steps * price * listing.instrument.quote_per / SCALE / count
    # All shares reach 10 bps; beyond, the first grid no longer contributes.
    near = profile.per_bps * 10
    far = near + profile.per_bps * 15 * sum(zone.share for zone in ZONES[1:])
    assert behind[10] == pytest.approx(near, rel=0.15)
    assert behind[25] == pytest.approx(far, rel=0.15)


def test_turbulence_halves_the_touch_and_liquidity_scales_it() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")

    def mean_touch(regime: int, liquidity: float) -> float:
        makers = Makers(listing, random.Random(4))
        makers.liquidity = liquidity
        total = 0
        for number in range(600):
            makers.requote(engine, 6_000_000.5 + number % 2, 0.5, regime=REGIMES[regime])
            total += listing.book.bids.top(1)[0][1]
        return total / 600

    plain = mean_touch(1, 1.0)
    # A mean of 600 draws with a coefficient of variation near 0.9 is known to 4 %.
    assert mean_touch(3, 1.0) / plain == pytest.approx(REGIMES[3].depth / REGIMES[1].depth, rel=0.2)
    assert mean_touch(1, 10.0) / plain == pytest.approx(10.0, rel=0.2)


def resting(exchange: Exchange, side: str, price: int, steps: int) -> int:
    account, _ = create_account(exchange, {"balances": {"USDT": "100000000", "BTC": "1000"}})
    instrument = exchange.listing("BTCUSDT").instrument
    request = NewOrder(
        symbol="BTCUSDT",
        side=side,
        type="LIMIT",
        time_in_force="GTC",
        quantity=steps * instrument.step,
        price=price * instrument.tick,
        quote_quantity=0,
        client_order_id=f"at-{price}-{side}",
        response_type="FULL",
    )
    order, _ = exchange.spot.place(account, request)
    return order.order_id


def test_an_order_the_quotes_run_over_is_filled_at_its_own_price() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")
    makers = Makers(listing, random.Random(6))
    makers.requote(engine, 6_000_000.5, 0.5)
    buy = resting(exchange, "BUY", 5_999_500, 700)
    makers.requote(engine, 5_999_900.5, 0.5)
    assert engine.by_id[buy].executed == 0
    makers.requote(engine, 5_999_400.5, 0.5)
    order = engine.by_id[buy]
    assert order.executed == 700
    assert order.executed_quote == 700 * 5_999_500 * listing.instrument.quote_per


def test_an_order_at_the_touch_waits_behind_what_was_there_and_before_what_comes_later() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")
    makers = Makers(listing, random.Random(7))
    makers.requote(engine, 6_000_000.5, 0.5)
    ahead = listing.book.bids.levels[6_000_000].steps
    order = engine.by_id[resting(exchange, "BUY", 6_000_000, 50)]
    listing.book.bids.add(6_000_000, 1_000)
    engine.background_take(listing, "SELL", 6_000_000, ahead)
    assert order.executed == 0
    engine.background_take(listing, "SELL", 6_000_000, 60)
    assert order.executed == 50
    assert listing.book.bids.levels[6_000_000].steps == 990


def test_the_queue_ahead_of_an_order_outlives_the_makers_small_changes() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")
    kept = []
    for number in range(60):
        makers = Makers(listing, random.Random(number))
        price = 6_000_000 + 1_000 * number
        makers.requote(engine, price + 0.5, 0.5)
        ahead = listing.book.bids.levels[price].steps
        order = engine.by_id[resting(exchange, "BUY", price, 50)]
        for _ in range(10):
            makers.requote(engine, price + 0.5, 0.5, seconds=0.1)
        queue = listing.book.bids.levels[price].queue
        place = next(index for index, entry in enumerate(queue) if entry.order is order)
        kept.append(sum(entry.steps for entry in list(queue)[:place]) / ahead)
        engine.cancel(order, "done")
    # In a second one redraw is expected; e^-1 of the queues see none and lose nothing but nudges' excess.
    assert all(0 <= share <= 1 for share in kept)
    assert sum(share > 0.5 for share in kept) / len(kept) > 0.5


def test_makers_know_when_a_user_shares_their_price() -> None:
    exchange = opened()
    engine, listing = exchange.spot, exchange.listing("BTCUSDT")
    makers = Makers(listing, random.Random(7))
    makers.requote(engine, 6_000_000.5, 0.5)
    assert not makers.is_joined()
    deep = resting(exchange, "BUY", 5_999_900, 50)
    assert not makers.is_joined()
    resting(exchange, "SELL", 6_000_001, 50)
    assert makers.is_joined()
    assert engine.by_id[deep].is_open


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [(0.2, 1), (1.4, 1), (1.6, 2), (4, 5), (31, 20), (36, 50), (80, 100), (1_250, 1_000)],
)
def test_grid_spacings_are_round_numbers(ticks: float, expected: int) -> None:
    assert round_ticks(ticks) == expected
