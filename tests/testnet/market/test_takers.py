"""The takers: volume that does not depend on the step, sizes and directions as configured."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest

from testnet.instruments import Character, catalog_instrument, instrument_for_price
from testnet.listing import Listing
from testnet.market.compare.statistics import autocorrelation
from testnet.market.makers import Makers
from testnet.market.profiles import ORDER_CAP, PRINTS_PER_ORDER, Profile, profile_of
from testnet.market.regimes import REGIMES
from testnet.market.takers import MAX_ORDERS, Takers
from testnet.opening import MarketOptions, open_exchange
from testnet.tape import Trade
from testnet.values import SCALE

START_MS = 1_750_000_020_000
TREND = REGIMES[1]


def market(seed: int = 5) -> tuple[Takers, Listing, list[Trade], object]:
    exchange = open_exchange(
        MarketOptions(
            seed=seed,
            speed=0.0,
            start_ms=START_MS,
            symbols=("BTCUSDT",),
            usdm_symbols=(),
            minute_days=1,
            hour_days=1,
        )
    ).exchange
    listing = exchange.listing("BTCUSDT")
    trades: list[Trade] = []
    record = listing.tape.record

    def noted(trade: Trade) -> None:
        trades.append(trade)
        record(trade)

    listing.tape.record = noted  # type: ignore[method-assign]
    takers = Takers(listing, random.Random(seed))
    takers.clock = exchange.clock
    return takers, listing, trades, exchange.spot


def deepen(listing: Listing) -> None:
    """Keep both sides so deep that no order is cut short."""
    for side in (listing.book.bids, listing.book.asks):
        best = side.best()
        assert best is not None
        side.add(best, max(0, 10**12 - side.levels[best].steps))


def volume(trades: list[Trade]) -> float:
    return sum(trade.quote for trade in trades) / SCALE


def test_moments_of_the_cut_lognormal_agree_with_a_numerical_integral() -> None:
    profile = Profile(1.0, 1.0, 1.0, 100.0, sigma=2.0)
    law, count = NormalDist(), 200_000
    draws = [min(ORDER_CAP, math.exp(2.0 * law.inv_cdf((n + 0.5) / count))) for n in range(count)]
    mean = math.fsum(draws) / count
    second = math.fsum(draw * draw for draw in draws) / count
    found, relative_variance = profile.moments(1.5)
    assert found == pytest.approx(150.0 * mean, rel=2e-3)
    assert relative_variance == pytest.approx(second / mean**2 - 1, rel=1e-2)


@pytest.mark.parametrize(("step_ms", "steps"), [(500, 6_000), (1_000, 6_000), (15_000, 3_000)])
def test_compressed_time_keeps_the_traded_volume(step_ms: int, steps: int) -> None:
    takers, listing, trades, engine = market()
    makers = Makers(listing, random.Random(9))
    for number in range(steps):
        makers.requote(engine, listing.tape.last_price + 0.5, 0.5, seconds=step_ms / 1000)  # type: ignore[arg-type]
        takers.act(engine, number * step_ms, (number + 1) * step_ms, TREND, 0.0)  # type: ignore[arg-type]
    profile = profile_of(listing.instrument, listing.character)
    mean, relative_variance = profile.moments(TREND.size)
    orders = profile.orders_per_s * step_ms / 1000 * steps
    # An order that sweeps several levels would be several trades; here the queue at the touch is filled up.
    assert len(trades) <= 1.05 * min(orders, MAX_ORDERS * steps)
    # Four standard deviations of a compound Poisson sum: relative variance (1 + cv^2) / n.
    error = 4 * math.sqrt((1 + relative_variance) / orders)
    assert error < 0.15
    assert volume(trades) == pytest.approx(orders * mean, rel=error)


def test_played_orders_have_the_configured_rate_and_volume() -> None:
    takers, listing, trades, engine = market()
    steps, step_ms = 60_000, 100
    for number in range(steps):
        if number % 50 == 0:
            deepen(listing)
        takers.act(engine, number * step_ms, (number + 1) * step_ms, TREND, 0.0)  # type: ignore[arg-type]
    profile = profile_of(listing.instrument, listing.character)
    mean, _ = profile.moments(TREND.size)
    orders = profile.orders_per_s * step_ms / 1000 * steps
    # Activity swings by a factor of two for eight seconds at a time and orders come in bursts, which for
    # 6,000 s leaves about 4 % of uncertainty in the count.
    assert volume(trades) == pytest.approx(orders * mean, rel=0.2)
    assert len(trades) / orders == pytest.approx(PRINTS_PER_ORDER, rel=0.2)


def test_trades_of_a_step_have_times_of_their_own_in_ascending_order() -> None:
    takers, listing, trades, engine = market()
    exchange_clock = takers.clock
    assert exchange_clock is not None
    for number in range(600):
        start, end = number * 100, number * 100 + 100
        exchange_clock.now_ms = end
        before = len(trades)
        takers.act(engine, start, end, TREND, 0.0)  # type: ignore[arg-type]
        times = [trade.time_ms for trade in trades[before:]]
        assert times == sorted(times)
        assert all(start < time <= end for time in times)
        assert exchange_clock.now_ms == end
        deepen(listing)
    assert len({trade.time_ms for trade in trades}) > 200


def test_directions_persist_and_a_tilt_decides_them() -> None:
    takers, listing, trades, engine = market()
    for number in range(20_000):
        deepen(listing)
        takers.act(engine, number * 1_000, (number + 1) * 1_000, TREND, 0.0)  # type: ignore[arg-type]
    signs = [-1.0 if trade.buyer_is_maker else 1.0 for trade in trades]
    # Given the flow f, P(buy) = (1 + 0.45 f) / 2 with f standard normal: sign covariance 0.45^2 at lag 0,
    # and the flow keeps exp(-0.1) of itself a second; six orders a second lie mostly within two of those.
    assert autocorrelation(signs, 1) == pytest.approx(TREND.persistence**2, abs=0.04)
    assert sum(signs) / len(signs) == pytest.approx(0.0, abs=0.05)
    trades.clear()
    for number in range(2_000):
        deepen(listing)
        takers.act(engine, number * 1_000, (number + 1) * 1_000, TREND, 1.0)  # type: ignore[arg-type]
    # A full tilt adds 0.35 to the half that buys; the flow is cut at 0.97.
    assert sum(not trade.buyer_is_maker for trade in trades) / len(trades) == pytest.approx(0.83, abs=0.05)


def test_a_symbol_without_a_profile_trades_as_its_character_says() -> None:
    character = Character(price=2.5, top_notional=9_000.0, trades_per_s=1.4, trade_notional=700.0)
    profile = profile_of(instrument_for_price("NEWUSDT", 2.5), character)
    mean, _ = profile.moments()
    assert profile.touch == 9_000.0
    # 1.4 trades of 700 a second.
    assert profile.orders_per_s * mean == pytest.approx(980.0, rel=1e-9)


def test_fitted_symbols_do_not_share_their_profile_with_futures_of_the_same_name() -> None:
    spot, character = catalog_instrument("BTCUSDT")
    assert spot.key == "spot:BTCUSDT"
    assert profile_of(spot, character).touch == 150_000.0
