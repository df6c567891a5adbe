"""An instrument and its scale: what one tick and one step are, and what the venue allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.domain.values.enums import Market, Side
from trading.domain.values.numbers import UNITS, decimal_of, multiple_of, times_of

_ZERO = Decimal(0)
_UNIT = Decimal("1E-8")
_MILLIONTH = Decimal("1E-6")
_NO_BOUND = 2**200
_USDM_PREVENTION = frozenset({"EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"})


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable pair with its filters; zero means "no such bound" unless said otherwise.

    Prices and quantities of an order are counted in ticks and steps of this instrument; asset amounts
    and notionals in units of 1e-8. `percent_price` is (bid up, bid down, ask up, ask down), multipliers
    of the venue's average price. `prevention_modes` are those of self-trade prevention it takes.
    """

    symbol: str
    market: Market
    base_asset: str
    quote_asset: str
    status: str
    tick_size: Decimal
    step_size: Decimal
    min_price: Decimal
    max_price: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    market_step_size: Decimal
    market_min_quantity: Decimal
    market_max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal
    apply_min_to_market: bool
    apply_max_to_market: bool
    percent_price: tuple[Decimal, Decimal, Decimal, Decimal] | None
    max_open_orders: int
    order_types: frozenset[str]
    prevention_modes: frozenset[str] = frozenset()
    _step_units: int | None = field(init=False, repr=False, compare=False)
    _value: tuple[int, int] = field(init=False, repr=False, compare=False)
    _inside: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tick_size <= 0 or self.step_size <= 0:
            shown = f"{self.tick_size} and {self.step_size}"
            raise ValueError(f"{self.symbol}: expected a positive tick and step, were {shown}")
        # Asked for by every rail of every order, so they are worked out once.
        count, exact = times_of(self.step_size, _UNIT)
        object.__setattr__(self, "_step_units", count if exact else None)
        tick_top, tick_bottom = self.tick_size.as_integer_ratio()
        step_top, step_bottom = self.step_size.as_integer_ratio()
        object.__setattr__(self, "_value", (tick_top * step_top * UNITS, tick_bottom * step_bottom))
        object.__setattr__(self, "_inside", self._bounds())

    @classmethod
    def from_exchange_info(cls, symbol_entry: Mapping[str, Any], market: Market) -> Instrument:
        """Build from one entry of the venue's `exchangeInfo.symbols`.

        The two lot filters stay apart; a zero market step means that it is not checked. A disabled
        tick (zero) falls back to the finest price the venue writes.

        Raises
        ------
        ValueError : a filter every instrument needs is missing, or a number is not one.
        """
        symbol = str(symbol_entry.get("symbol", ""))
        filters = {str(f["filterType"]): f for f in symbol_entry.get("filters", ())}
        for needed in ("PRICE_FILTER", "LOT_SIZE"):
            if needed not in filters:
                raise ValueError(f"{symbol or 'exchangeInfo entry'}: filter {needed} is missing")

        def number(name: str, field: str) -> Decimal:
            entry = filters.get(name)
            if entry is None or field not in entry:
                return _ZERO
            try:
                return decimal_of(str(entry[field]))
            except ValueError as error:
                raise ValueError(f"{symbol}: filter {name}.{field}: {error}") from None

        # The older form of spot is MIN_NOTIONAL {minNotional, applyToMarket}, USD-M says `notional`.
        if "NOTIONAL" in filters:
            minimum, maximum = number("NOTIONAL", "minNotional"), number("NOTIONAL", "maxNotional")
            min_market = bool(filters["NOTIONAL"].get("applyMinToMarket", True))
            max_market = bool(filters["NOTIONAL"].get("applyMaxToMarket", False))
        else:
            field = "notional" if "notional" in filters.get("MIN_NOTIONAL", {}) else "minNotional"
            minimum, maximum = number("MIN_NOTIONAL", field), _ZERO
            min_market = bool(filters.get("MIN_NOTIONAL", {}).get("applyToMarket", True))
            max_market = False

        tick = number("PRICE_FILTER", "tickSize")
        if tick == 0:
            places = symbol_entry.get("quoteAssetPrecision", symbol_entry.get("pricePrecision", 8))
            tick = Decimal(f"1E-{int(places)}")
        order_limit = "maxNumOrders" if "maxNumOrders" in filters.get("MAX_NUM_ORDERS", {}) else "limit"
        return cls(
            symbol=symbol,
            market=market,
            base_asset=str(symbol_entry["baseAsset"]),
            quote_asset=str(symbol_entry["quoteAsset"]),
            status=str(symbol_entry["status"]),
            tick_size=tick,
            step_size=number("LOT_SIZE", "stepSize"),
            min_price=number("PRICE_FILTER", "minPrice"),
            max_price=number("PRICE_FILTER", "maxPrice"),
            min_quantity=number("LOT_SIZE", "minQty"),
            max_quantity=number("LOT_SIZE", "maxQty"),
            market_step_size=number("MARKET_LOT_SIZE", "stepSize"),
            market_min_quantity=number("MARKET_LOT_SIZE", "minQty"),
            market_max_quantity=number("MARKET_LOT_SIZE", "maxQty"),
            min_notional=minimum,
            max_notional=maximum,
            apply_min_to_market=min_market,
            apply_max_to_market=max_market,
            percent_price=_percent_price(filters, number),
            max_open_orders=int(number("MAX_NUM_ORDERS", order_limit)),
            order_types=frozenset(str(kind) for kind in symbol_entry.get("orderTypes", ())),
            prevention_modes=_prevention_modes(symbol_entry, market),
        )

    @property
    def is_trading(self) -> bool:
        """Whether the venue takes new orders for it."""
        return self.status == "TRADING"

    @property
    def step_units(self) -> int:
        """Base units (1e-8) in one step.

        Raises
        ------
        ValueError : the step is finer than one unit.
        """
        if self._step_units is None:
            raise ValueError(f"{self.symbol}: step {self.step_size} is finer than one unit")
        return self._step_units

    def _bounds(self) -> tuple[int, ...]:
        """Whole numbers a plain order is certainly inside of: ticks, steps, value, and price in parts of a million."""

        def low(bound: Decimal, unit: Decimal) -> int:
            count, exact = times_of(bound, unit)
            return count if exact else count + 1

        def high(bound: Decimal, unit: Decimal) -> int:
            return times_of(bound, unit)[0] if bound else _NO_BOUND

        tops = [top for top in (self.max_quantity, self.market_max_quantity) if top]
        highest = min(tops, default=_ZERO)
        bid_up, bid_down, ask_up, ask_down = self.percent_price or (_ZERO, _ZERO, _ZERO, _ZERO)
        return (
            max(1, low(self.min_price, self.tick_size)),
            high(self.max_price, self.tick_size),
            max(1, low(max(self.min_quantity, self.market_min_quantity), self.step_size)),
            high(highest, self.step_size),
            low(self.min_notional, _UNIT) + 1,
            high(self.max_notional, _UNIT),
            high(bid_up, _MILLIONTH),
            low(bid_down, _MILLIONTH),
            high(ask_up, _MILLIONTH),
            low(ask_down, _MILLIONTH),
        )

    def is_plainly_inside(
        self, side: Side, ticks: int, steps: int, value: int, doubled_middle: int, open_orders: int
    ) -> bool:
        """Tell, in whole numbers, whether no filter can refuse an order; False means only "look closer".

        Parameters
        ----------
        value : notional in quote units, rounded up.  doubled_middle : bid plus ask, ticks.
        """
        min_ticks, max_ticks, min_steps, max_steps, low, high, bid_up, bid_down, ask_up, ask_down = (
            self._inside
        )
        if self.market_step_size != 0 or (self.max_open_orders and open_orders + 1 > self.max_open_orders):
            return False
        up, down = (bid_up, bid_down) if side is Side.BUY else (ask_up, ask_down)
        parts = 2_000_000 * ticks
        return (
            min_ticks <= ticks <= max_ticks
            and min_steps <= steps <= max_steps
            and low <= value <= high
            and down * doubled_middle <= parts <= up * doubled_middle
        )

    def ticks(self, price: Decimal) -> int:
        """Return a price in ticks.

        Raises
        ------
        ValueError : the price is not a multiple of the tick.
        """
        count, exact = times_of(price, self.tick_size)
        if not exact:
            raise ValueError(f"{self.symbol}: price {price} is not a multiple of the tick {self.tick_size}")
        return count

    def floor_ticks(self, price: Decimal) -> int:
        """Return the whole ticks in a price, rounding down."""
        return times_of(price, self.tick_size)[0]

    def steps(self, quantity: Decimal) -> int:
        """Return a quantity in steps.

        Raises
        ------
        ValueError : the quantity is not a multiple of the step.
        """
        count, exact = times_of(quantity, self.step_size)
        if not exact:
            raise ValueError(
                f"{self.symbol}: quantity {quantity} is not a multiple of the step {self.step_size}"
            )
        return count

    def price(self, ticks: int) -> Decimal:
        """Return the exact price of `ticks`."""
        return multiple_of(ticks, self.tick_size)

    def quantity(self, steps: int) -> Decimal:
        """Return the exact quantity of `steps`."""
        return multiple_of(steps, self.step_size)

    def floor_steps(self, quantity: Decimal) -> int:
        """Return the whole steps in a quantity, rounding down.

        Raises
        ------
        ValueError : the quantity is negative or not finite.
        """
        if quantity < 0:
            raise ValueError(f"expected a quantity of zero or more, was {quantity}")
        return times_of(quantity, self.step_size)[0]

    def round_ticks(self, price: Decimal, side: Side) -> int:
        """Return a price in ticks without worsening the limit: BUY down, SELL up."""
        count, exact = times_of(price, self.tick_size)
        return count if exact or side is Side.BUY else count + 1

    def notional_units(self, ticks: int, steps: int) -> int:
        """Return price times quantity in quote units.

        Exact wherever tick x step is a whole number of units, as for every USDT pair. Where it is finer
        (ETHBTC: 0.00001 x 0.0001) a fraction of a unit counts as a whole one, so that no limit is
        ever undercounted.
        """
        top, bottom = self._value
        return -(-ticks * steps * top // bottom)


def _prevention_modes(symbol_entry: Mapping[str, Any], market: Market) -> frozenset[str]:
    # Spot says which of them each symbol takes; USD-M names them for the market, in the placement's documentation.
    told = symbol_entry.get("allowedSelfTradePreventionModes")
    if told is None:
        return _USDM_PREVENTION if market is Market.usdm else frozenset()
    return frozenset(str(mode) for mode in told)


def _percent_price(
    filters: Mapping[str, Any], number: Callable[[str, str], Decimal]
) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
    if "PERCENT_PRICE_BY_SIDE" in filters:
        name = "PERCENT_PRICE_BY_SIDE"
        return (
            number(name, "bidMultiplierUp"),
            number(name, "bidMultiplierDown"),
            number(name, "askMultiplierUp"),
            number(name, "askMultiplierDown"),
        )
    if "PERCENT_PRICE" in filters:
        up, down = number("PERCENT_PRICE", "multiplierUp"), number("PERCENT_PRICE", "multiplierDown")
        return up, down, up, down
    return None
