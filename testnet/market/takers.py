"""Background takers: how many trades, how large, in which direction."""

from __future__ import annotations

import math
import random

from testnet.engine import Engine
from testnet.listing import Listing

# More trades than this in one step are drawn as fewer, larger ones: it bounds the work per step when
# market time is compressed, and keeps the traded volume.
MAX_TRADES_PER_STEP = 6
_TAIL = 1.7  # Pareto exponent of trade sizes: finite mean, heavy tail


def poisson(mean: float, rng: random.Random) -> int:
    """Draw a Poisson count; above 30 by its normal approximation."""
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def trade_steps(listing: Listing, price: int, scale: float, rng: random.Random) -> int:
    """Draw a heavy-tailed trade size in steps."""
    mean_of_pareto = _TAIL / (_TAIL - 1.0)
    size = rng.paretovariate(_TAIL) / mean_of_pareto
    notional = listing.character.trade_notional * min(size, 60.0) * scale
    return max(1, round(notional * 1e8 / (price * listing.instrument.quote_per)))


def take(
    engine: Engine, listing: Listing, seconds: float, tilt: float, activity: float, rng: random.Random
) -> None:
    """Trade against the book for some seconds of market time.

    `tilt` in [-1, 1] biases direction towards the last move; `activity` scales the rate of trades.
    """
    count = poisson(listing.character.trades_per_s * seconds * activity, rng)
    scale = max(1.0, count / MAX_TRADES_PER_STEP)
    for _ in range(min(count, MAX_TRADES_PER_STEP)):
        side = "BUY" if rng.random() < 0.5 + 0.35 * tilt else "SELL"
        best = listing.book.contra(side).best()
        if best is None:
            continue
        # Takers give up a few basis points from the touch rather than sweep a thin book.
        slack = max(1, round(best * 5e-5))
        limit = best + slack if side == "BUY" else best - slack
        engine.background_take(listing, side, limit, trade_steps(listing, best, scale, rng))
