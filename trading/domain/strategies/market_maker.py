"""Market making: two post-only quotes whose depths the inventory shifts, pulled when the book turns against them.

Depths come from the exact solution of Gueant, Lehalle & Fernandez-Tapia (the default), which knows the inventory
limit, or from Avellaneda & Stoikov; see `quoting.py`. Units: depths and sigma in basis points of the middle, time in
seconds, inventory in lots above the base inventory. The horizon rolls, so depths depend on the inventory alone and
are solved once per parameter set; a partial lot is interpolated. The maker's fee widens both depths.

Quotes are rounded to the tick away from the middle, never cross the book, and are not shown on a side that would
pass the inventory limit (or sell what is not held). They are pulled while the book is one-sided, stale, wide or moves
too fast, and for a pause after toxic flow. On spot, where only what is held can be sold, it first buys its base
inventory at the best bid, and sells nothing until it has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple

from trading.domain.clock import NS_PER_S
from trading.domain.strategies.base import Desired, Observation, Quotes, Strategy
from trading.domain.strategies.book_watch import BookState, book_trouble, next_book
from trading.domain.strategies.parameters import ParameterError, parameter
from trading.domain.strategies.quoting import exact_depths, reservation_quotes
from trading.domain.strategies.toxic_flow import FlowState, next_flow, toxic_because

GLFT, AVELLANEDA_STOIKOV = "glft", "avellaneda_stoikov"
_BPS: Final = 10_000.0
_NEAR_BASE: Final = 0.5
"""Lots below its base inventory at which it counts as bought; commission is taken from what is bought."""
_DUST: Final = 1e-9
"""Part of a lot below which a size is the rounding of a subtraction."""


@dataclass(frozen=True, slots=True)
class MarketMakerParams:
    """The model's numbers, the instrument's grid, and when to step aside."""

    formula: str = parameter(GLFT, help="glft or avellaneda_stoikov")
    lot: float = parameter(0.001, ge=1e-8, le=1e9, unit="base", help="size of one quote")
    tick_size: float = parameter(0.01, ge=1e-12, le=1e6, unit="quote", help="the instrument's tick")
    inventory_limit: int = parameter(10, ge=1, le=100, unit="lots", help="most above or below the base")
    inventory_base: float = parameter(
        0.0, ge=0.0, le=1e6, unit="lots", help="holding around which it leans; on spot what it sells from"
    )
    gamma: float = parameter(0.01, ge=1e-6, le=10.0, unit="1/bps/lot", help="risk aversion")
    sigma_bps: float = parameter(
        1.0, ge=0.001, le=1_000.0, unit="bps per sqrt(s)", help="volatility of the middle"
    )
    decay: float = parameter(0.5, ge=0.001, le=1_000.0, unit="1/bps", help="how fast fills thin out, k")
    arrival: float = parameter(0.5, ge=1e-6, le=1e6, unit="1/s", help="fills at the middle, A")
    horizon_s: float = parameter(600.0, ge=1.0, le=86_400.0, unit="s", help="rolling horizon")
    maker_fee_bps: float = parameter(10.0, ge=-5.0, le=100.0, unit="bps", help="widens both depths")
    requote_ticks: int = parameter(1, ge=0, le=1_000, unit="ticks", help="a quote this near is left alone")
    widest_bps: float = parameter(100.0, ge=0.1, le=10_000.0, unit="bps", help="no quotes in a wider book")
    stale_s: float = parameter(5.0, ge=0.1, le=3_600.0, unit="s", help="age of a book without change")
    volatility_window_s: float = parameter(30.0, ge=1.0, le=3_600.0, unit="s", help="of the middle's moves")
    volatility_spike: float = parameter(4.0, ge=1.0, le=100.0, unit="sigma", help="no quotes above it")
    markout_s: float = parameter(5.0, ge=0.1, le=600.0, unit="s", help="after which a fill is judged")
    toxic_bps: float = parameter(5.0, ge=0.1, le=1_000.0, unit="bps", help="mean loss that is toxic")
    toxic_fills: int = parameter(5, ge=1, le=1_000, unit="fills", help="judged before that counts")
    run_fills: int = parameter(4, ge=2, le=64, unit="fills", help="from one side alone that are toxic")
    run_window_s: float = parameter(10.0, ge=0.1, le=3_600.0, unit="s", help="within which")
    pause_s: float = parameter(30.0, ge=0.1, le=3_600.0, unit="s", help="without quotes after toxic flow")
    allow_short: bool = parameter(False, help="sell what is not held; futures only")

    def __post_init__(self) -> None:
        if self.formula not in (GLFT, AVELLANEDA_STOIKOV):
            raise ParameterError("formula", f"expected {GLFT} or {AVELLANEDA_STOIKOV}, was {self.formula!r}")
        try:
            depths(self)
        except ValueError as error:
            raise ParameterError("gamma", str(error)) from error


class MakerState(NamedTuple):
    """What is remembered between steps; `paused_because` holds until `paused_ns`.

    `stocked` once the base inventory has been bought: from then on it sells as well.
    """

    book: tuple[Any, ...] = BookState()
    flow: tuple[Any, ...] = FlowState()
    paused_ns: int = 0
    paused_because: str = ""
    stocked: bool = False


class MarketMaker(Strategy):
    """Quote both sides, lean against the inventory, step aside from toxic flow."""

    name: ClassVar[str] = "market_maker"
    Params: ClassVar[type] = MarketMakerParams
    makes_market: ClassVar[bool] = True
    steps_at_books: ClassVar[bool] = True

    def warmup(self, params: MarketMakerParams) -> int:
        """Return 1: it needs a book, not a history."""
        return 1

    def initial(self, params: MarketMakerParams) -> tuple[Any, ...]:
        """Return a maker that has seen nothing."""
        return MakerState()

    def step(
        self, params: MarketMakerParams, state: tuple[Any, ...], observation: Observation
    ) -> tuple[tuple[Any, ...], Desired]:
        """Quote at every trigger; a `Desired` without quotes pulls both."""
        before, seen = MakerState(*state), observation
        if not 0.0 < seen.bid < seen.ask or seen.bid_size <= 0.0 or seen.ask_size <= 0.0:
            return before, Desired(0.0, 0.0, "NO_TWO_SIDED_BOOK")
        mid = (seen.bid + seen.ask) / 2.0
        book = next_book(BookState(*before.book), seen, params.volatility_window_s, params.stale_s)
        flow = next_flow(
            FlowState(*before.flow),
            seen.fills,
            mid,
            seen.now_ns,
            markout_s=params.markout_s,
            run_window_s=params.run_window_s,
            halflife_fills=float(params.toxic_fills),
        )
        paused_ns, because = before.paused_ns, before.paused_because
        toxic = toxic_because(
            flow,
            limit_bps=params.toxic_bps,
            least_fills=params.toxic_fills,
            run_fills=params.run_fills,
        )
        if toxic:
            paused_ns, because = seen.now_ns + int(params.pause_s * NS_PER_S), toxic
            # Judged once: after the pause flow gets a fresh hearing, or one bad run would pause for good.
            flow = FlowState(pending=flow.pending)
        lots = seen.position / params.lot - params.inventory_base
        stocked = before.stocked or lots > -_NEAR_BASE
        after = MakerState(book, flow, paused_ns, because, stocked)
        trouble = book_trouble(
            book,
            seen.now_ns,
            stale_s=params.stale_s,
            widest_bps=params.widest_bps,
            sigma_bps=params.sigma_bps,
            spike=params.volatility_spike,
            window_s=params.volatility_window_s,
        )
        features = {
            "mid": mid,
            "inventory_lots": lots,
            "sigma_bps": math.sqrt(book.variance),
            "markout_bps": flow.markout_bps,
        }
        if seen.now_ns < paused_ns:
            return after, Desired(0.0, 0.0, because, features=features)
        if trouble:
            return after, Desired(0.0, 0.0, trouble, features=features)
        if not stocked and not params.allow_short:
            return after, Desired(0.0, 1.0, "STOCKING", quotes=_stock(params, seen, lots), features=features)
        quotes, told = _quotes(params, seen, mid, lots)
        reason = "QUOTING" if quotes.bid_size and quotes.ask_size else "ONE_SIDE"
        if not quotes.bid_size and not quotes.ask_size:
            return after, Desired(0.0, 0.0, "NO_ROOM", features=features | told)
        return after, Desired(0.0, 1.0, reason, quotes=quotes, features=features | told)


def depths(params: MarketMakerParams) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return bid and ask depths in bps for -limit..limit lots, before the fee; inf where a side is shut.

    Raises
    ------
    ValueError : parameters too extreme to solve.
    """
    return _depths(
        params.formula,
        params.inventory_limit,
        params.gamma,
        params.sigma_bps,
        params.arrival,
        params.decay,
        params.horizon_s,
    )


@lru_cache(maxsize=64)
def _depths(
    formula: str, limit: int, gamma: float, sigma: float, arrival: float, decay: float, horizon: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if formula == GLFT:
        return exact_depths(limit, gamma, sigma, arrival, decay, horizon)
    quotes = [
        reservation_quotes(0.0, float(lots), gamma, sigma, decay, horizon)
        for lots in range(-limit, limit + 1)
    ]
    return (*(-one.bid for one in quotes[:-1]), math.inf), (math.inf, *(one.ask for one in quotes[1:]))


def _quotes(
    params: MarketMakerParams, seen: Observation, mid: float, lots: float
) -> tuple[Quotes, dict[str, float]]:
    bids, asks = depths(params)
    limit = float(params.inventory_limit)
    bid_depth, ask_depth = _between(bids, lots, params), _between(asks, lots, params)
    tick = Decimal(repr(params.tick_size))
    bid_size = max(0.0, min(1.0, limit - lots)) * params.lot
    ask_size = max(0.0, min(1.0, limit + lots)) * params.lot
    if not params.allow_short:
        ask_size = max(0.0, min(ask_size, seen.position))
    bid = ask = 0.0
    if bid_size > _DUST * params.lot and math.isfinite(bid_depth):
        fair = mid * (1.0 - (bid_depth + params.maker_fee_bps) / _BPS)
        bid = min(
            _on_grid(fair, tick, ROUND_FLOOR), _on_grid(seen.ask, tick, ROUND_CEILING) - params.tick_size
        )
        bid = _on_grid(bid, tick, ROUND_FLOOR)
    if ask_size > _DUST * params.lot and math.isfinite(ask_depth):
        fair = mid * (1.0 + (ask_depth + params.maker_fee_bps) / _BPS)
        ask = max(
            _on_grid(fair, tick, ROUND_CEILING), _on_grid(seen.bid, tick, ROUND_FLOOR) + params.tick_size
        )
        ask = _on_grid(ask, tick, ROUND_CEILING)
    bid, bid_size = _unless_near(params, seen, "BUY", bid, bid_size)
    ask, ask_size = _unless_near(params, seen, "SELL", ask, ask_size)
    told = {
        name: value
        for name, value in (("bid_depth_bps", bid_depth), ("ask_depth_bps", ask_depth))
        if math.isfinite(value)
    }
    return Quotes(bid, bid_size, ask, ask_size), told


def _stock(params: MarketMakerParams, seen: Observation, lots: float) -> Quotes:
    """Bid for what the base inventory lacks, at the best bid: post-only, it is bought from those who sell."""
    tick = Decimal(repr(params.tick_size))
    bid, size = _on_grid(seen.bid, tick, ROUND_FLOOR), -lots * params.lot
    bid, size = _unless_near(params, seen, "BUY", bid, size)
    return Quotes(bid, size, 0.0, 0.0)


def _between(table: tuple[float, ...], lots: float, params: MarketMakerParams) -> float:
    # Depths are solved for whole lots; between two of them they are nearly straight.
    limit = params.inventory_limit
    place = max(0.0, min(2.0 * limit, lots + limit))
    low = min(int(place), 2 * limit - 1)
    part = place - low
    first, second = table[low], table[low + 1]
    if part <= _DUST or math.isinf(second):
        return first
    if part >= 1.0 - _DUST or math.isinf(first):
        return second
    return first + part * (second - first)


def _on_grid(price: float, tick: Decimal, rounding: str) -> float:
    # A float that stands for a price on the grid is a few units in the last place beside it.
    steps = Decimal(repr(price)) / tick
    nearest = steps.to_integral_value()
    if abs(steps - nearest) > Decimal("1e-6"):
        nearest = steps.to_integral_value(rounding=rounding)
    return float(nearest * tick)


def _unless_near(
    params: MarketMakerParams, seen: Observation, side: str, price: float, size: float
) -> tuple[float, float]:
    """Keep a working quote that is near enough: replacing it would lose its place in the queue."""
    if price <= 0.0 or size <= 0.0:
        return 0.0, 0.0
    for working in seen.quotes:
        crosses = working.price >= seen.ask if side == "BUY" else working.price <= seen.bid
        near = not crosses and abs(working.price - price) <= (params.requote_ticks + 0.5) * params.tick_size
        if working.side == side and near and 0.5 * size <= working.size <= size * (1.0 + 1e-9):
            return working.price, working.size
    return price, size
