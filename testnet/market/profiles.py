"""How liquid and busy each symbol's background market is when it behaves like its trend regimes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from testnet.instruments import Character, Instrument

# Orders above this many medians are cut, so that the heavy tail has a mean that samples can show.
ORDER_CAP = 2_000.0
PRINTS_PER_ORDER = 2.8  # what the queue model in takers.py comes to, for the counts of past candles
_SIGMA = 2.45


@dataclass(frozen=True, slots=True)
class Profile:
    """One symbol's liquidity; amounts in quote currency.

    `touch` is the mean amount at the best price of a side, `per_bps` the amount behind it per basis point
    of distance, `orders_per_s` the mean rate of taker orders, `median` and `sigma` the lognormal law of
    their size, `maker_median` and `dust_median` the medians of the large and the small resting orders they
    meet, and `spread_bps` the usual spread where the tick is finer.
    """

    touch: float
    per_bps: float
    orders_per_s: float
    median: float
    sigma: float = _SIGMA
    maker_median: float = 2_500.0
    dust_median: float = 15.0
    spread_bps: float = 0.0

    def moments(self, size: float = 1.0) -> tuple[float, float]:
        """Mean and squared coefficient of variation of an order's size, `size` scaling its median.

        Source: partial expectations of the lognormal law, E[X^k; X < c] =
        exp(k mu + k^2 sigma^2 / 2) Phi((ln c - mu) / sigma - k sigma).
        """
        edge = math.log(ORDER_CAP) / self.sigma
        first, second = (
            math.exp(k * k * self.sigma**2 / 2) * _phi(edge - k * self.sigma) + ORDER_CAP**k * _phi(-edge)
            for k in (1, 2)
        )
        return first * self.median * size, second / first**2 - 1.0


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


# BTC and ETH are fitted to recorded feeds (docs/TESTNET_MARKET.md gives the comparison); the others are
# scaled from ETH by their usual share of the venue's volume, and are not measured.
_PROFILES: dict[str, Profile] = {
    "spot:BTCUSDT": Profile(150_000.0, 310_000.0, 9.6, 208.0),
    "spot:ETHUSDT": Profile(36_000.0, 200_000.0, 6.0, 130.0, 2.5),
    "spot:BNBUSDT": Profile(20_000.0, 50_000.0, 1.8, 120.0, spread_bps=0.2),
    "spot:SOLUSDT": Profile(30_000.0, 70_000.0, 3.0, 130.0),
    "spot:XRPUSDT": Profile(60_000.0, 40_000.0, 1.5, 110.0),
    "spot:DOGEUSDT": Profile(40_000.0, 30_000.0, 1.5, 100.0),
    "spot:ADAUSDT": Profile(40_000.0, 20_000.0, 0.8, 90.0),
    "spot:AVAXUSDT": Profile(30_000.0, 15_000.0, 0.8, 90.0),
    "spot:LINKUSDT": Profile(40_000.0, 15_000.0, 0.8, 90.0),
    "spot:LTCUSDT": Profile(8_000.0, 15_000.0, 0.6, 90.0, spread_bps=1.0),
    "usdm:BTCUSDT": Profile(230_000.0, 950_000.0, 15.9, 1_900.0, 2.4, 8_000.0, 400.0),
}


def _perpetual(spot: Profile) -> Profile:
    """A perpetual compared with its spot symbol as BTC's recorded feeds compare; not measured for the others."""
    own, base = _PROFILES["usdm:BTCUSDT"], _PROFILES["spot:BTCUSDT"]
    return replace(
        spot,
        touch=spot.touch * own.touch / base.touch,
        per_bps=spot.per_bps * own.per_bps / base.per_bps,
        orders_per_s=spot.orders_per_s * own.orders_per_s / base.orders_per_s,
        median=spot.median * own.median / base.median,
        sigma=own.sigma,
        maker_median=spot.maker_median * own.maker_median / base.maker_median,
    )


def profile_of(instrument: Instrument, character: Character) -> Profile:
    """The fitted profile of a symbol, or one derived from its character (a symbol listed at run time)."""
    found = _PROFILES.get(instrument.key)
    if found is not None:
        return found
    spot = _PROFILES.get(f"spot:{instrument.symbol}")
    if instrument.market == "usdm" and spot is not None:
        return _perpetual(spot)
    mean_order = character.trade_notional * PRINTS_PER_ORDER
    plain = Profile(
        touch=character.top_notional,
        per_bps=character.top_notional,
        orders_per_s=character.trades_per_s / PRINTS_PER_ORDER,
        median=1.0,
        maker_median=character.trade_notional,
        spread_bps=1.0,
    )
    mean_of_unit, _ = plain.moments()
    return Profile(
        touch=plain.touch,
        per_bps=plain.per_bps,
        orders_per_s=plain.orders_per_s,
        median=mean_order / mean_of_unit,
        maker_median=plain.maker_median,
        spread_bps=plain.spread_bps,
    )
