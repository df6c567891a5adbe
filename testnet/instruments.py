"""Symbols, their units and the filters they announce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testnet.prevention import MODES
from testnet.usdm.contracts import Perpetual
from testnet.values import SCALE, decimals_of, fixed_text, parse_units, trimmed_text, units_text

SPOT_ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


class UnknownInstrument(ValueError):
    """No definition for this symbol, or one that cannot be represented exactly."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol of one market (`spot` or `usdm`).

    Every amount is in 1e-8 units; prices travel as ticks, quantities as steps.

    `tick * step` must be a whole number of units, so that every notional is exact.
    """

    symbol: str
    base: str
    quote: str
    tick: int
    step: int
    min_price: int
    max_price: int
    min_qty: int
    max_qty: int
    market_max_qty: int
    min_notional: int
    max_notional: int
    # The band is asymmetric by side on the venue; these are in percent of the average price.
    bid_up: int = 500
    bid_down: int = 20
    ask_up: int = 500
    ask_down: int = 20
    max_orders: int = 200
    avg_price_mins: int = 5
    market: str = "spot"
    perpetual: Perpetual | None = None
    max_algo_orders: int = 5
    max_iceberg_orders: int = 10
    max_order_lists: int = 20
    max_amends: int = 10
    iceberg_parts: int = 10
    # Distance of trailing stops in basis points, the same on both sides.
    trailing_min: int = 10
    trailing_max: int = 2_000
    # Base units an account may hold and be buying; 0 for no such limit.
    max_position: int = 0
    # What clients must round to where that has been made coarser than tick and step; 0 where it has not.
    announced_tick: int = 0
    announced_step: int = 0

    def __post_init__(self) -> None:
        if self.tick <= 0 or self.step <= 0 or self.tick * self.step % SCALE:
            raise UnknownInstrument(
                f"{self.symbol}: tick {trimmed_text(self.tick)} times step {trimmed_text(self.step)} "
                "is finer than 0.00000001"
            )

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Instrument:
        """Read what `dataclasses.asdict` wrote."""
        terms = raw.get("perpetual")
        return cls(**{**raw, "perpetual": Perpetual.from_json(terms) if terms else None})

    @property
    def key(self) -> str:
        """Market and symbol: a symbol may trade in both markets."""
        return f"{self.market}:{self.symbol}"

    @property
    def tick_size(self) -> int:
        """What prices of new orders must be multiples of."""
        return self.announced_tick or self.tick

    @property
    def step_size(self) -> int:
        """What quantities of new orders must be multiples of."""
        return self.announced_step or self.step

    @property
    def quote_per(self) -> int:
        """Quote units of one step traded at one tick."""
        return self.tick * self.step // SCALE

    def price_text(self, ticks: int) -> str:
        """A price in ticks, with eight decimals on spot and the contract's own in a perpetual."""
        places = self.perpetual.price_precision if self.perpetual is not None else 8
        return fixed_text(ticks * self.tick, places)

    def qty_text(self, steps: int) -> str:
        """A quantity in steps, with eight decimals on spot and the contract's own in a perpetual."""
        places = self.perpetual.quantity_precision if self.perpetual is not None else 8
        return fixed_text(steps * self.step, places)

    def ticks(self, price: float) -> int:
        """Nearest tick of an approximate price; for the background market only."""
        return max(1, round(price * SCALE / self.tick))

    def filters(self) -> list[dict[str, Any]]:
        """The filter objects of exchangeInfo."""
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": units_text(self.min_price),
                "maxPrice": units_text(self.max_price),
                "tickSize": units_text(self.tick_size),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": units_text(self.min_qty),
                "maxQty": units_text(self.max_qty),
                "stepSize": units_text(self.step_size),
            },
            {"filterType": "ICEBERG_PARTS", "limit": self.iceberg_parts},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": units_text(0),
                "maxQty": units_text(self.market_max_qty),
                "stepSize": units_text(0),
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": trimmed_text(self.bid_up * SCALE // 100),
                "bidMultiplierDown": trimmed_text(self.bid_down * SCALE // 100),
                "askMultiplierUp": trimmed_text(self.ask_up * SCALE // 100),
                "askMultiplierDown": trimmed_text(self.ask_down * SCALE // 100),
                "avgPriceMins": self.avg_price_mins,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": units_text(self.min_notional),
                "applyMinToMarket": True,
                "maxNotional": units_text(self.max_notional),
                "applyMaxToMarket": False,
                "avgPriceMins": self.avg_price_mins,
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": self.trailing_min,
                "maxTrailingAboveDelta": self.trailing_max,
                "minTrailingBelowDelta": self.trailing_min,
                "maxTrailingBelowDelta": self.trailing_max,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": self.max_algo_orders},
            {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": self.max_iceberg_orders},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": self.max_order_lists},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": self.max_amends},
            *(
                [{"filterType": "MAX_POSITION", "maxPosition": units_text(self.max_position)}]
                if self.max_position
                else []
            ),
        ]

    def info(self, status: str) -> dict[str, Any]:
        """The symbol object of exchangeInfo."""
        return {
            "symbol": self.symbol,
            "status": status,
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": list(SPOT_ORDER_TYPES),
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.filters(),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": list(MODES),
        }


@dataclass(frozen=True, slots=True)
class Character:
    """How a symbol's background market behaves: where it starts, how deep and busy it is."""

    price: float
    top_notional: float = 15_000.0  # quote currency resting at one near level
    trades_per_s: float = 1.5
    trade_notional: float = 1_500.0
    volatility: float = 1.0  # relative to the regimes' base volatility
    correlation: float = 0.7  # with the factor common to all symbols


# tick, step, minimum notional, and the character; the first two as on the venue.
_CATALOG: dict[str, tuple[str, str, Character]] = {
    "BTCUSDT": ("0.01", "0.00001", Character(64_000.0, 40_000.0, 3.0, 3_000.0, 1.0, 0.9)),
    "ETHUSDT": ("0.01", "0.0001", Character(3_100.0, 30_000.0, 2.5, 2_200.0, 1.25, 0.85)),
    "BNBUSDT": ("0.01", "0.001", Character(580.0, 15_000.0, 1.2, 1_200.0, 1.1, 0.7)),
    "SOLUSDT": ("0.01", "0.001", Character(150.0, 15_000.0, 1.8, 1_500.0, 1.6, 0.75)),
    "XRPUSDT": ("0.0001", "0.1", Character(0.58, 12_000.0, 1.2, 1_000.0, 1.4, 0.65)),
    "DOGEUSDT": ("0.00001", "1", Character(0.14, 10_000.0, 1.2, 900.0, 1.7, 0.7)),
    "ADAUSDT": ("0.0001", "0.1", Character(0.45, 8_000.0, 0.8, 800.0, 1.4, 0.7)),
    "AVAXUSDT": ("0.01", "0.01", Character(28.0, 8_000.0, 0.8, 800.0, 1.6, 0.7)),
    "LINKUSDT": ("0.01", "0.01", Character(14.0, 8_000.0, 0.8, 800.0, 1.5, 0.7)),
    "LTCUSDT": ("0.01", "0.001", Character(72.0, 8_000.0, 0.8, 800.0, 1.1, 0.65)),
}

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote asset of a plain symbol."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    raise UnknownInstrument(f"{symbol}: no known quote asset; expected one of {', '.join(QUOTES)}")


def catalog_instrument(symbol: str) -> tuple[Instrument, Character]:
    """The built-in definition of a symbol."""
    if symbol not in _CATALOG:
        raise UnknownInstrument(f"{symbol}: not built in; choose from {', '.join(sorted(_CATALOG))}")
    tick, step, character = _CATALOG[symbol]
    return make_instrument(symbol, parse_units(tick), parse_units(step), character.price), character


def make_instrument(
    symbol: str, tick: int, step: int, price: float, min_notional: int = 5 * SCALE
) -> Instrument:
    """An instrument with limits in proportion to its price, as the venue chooses them."""
    base, quote = split_symbol(symbol)
    # Widen the price range to a round number well above anything the market may reach.
    max_price = 10 ** (len(str(max(1, int(price)))) + 3) * SCALE
    max_qty = max(1, int(10_000_000 / max(price, 1e-9))) * SCALE
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=tick,
        step=step,
        min_price=tick,
        max_price=max_price // tick * tick,
        min_qty=step,
        max_qty=max_qty // step * step,
        market_max_qty=max_qty // 5 // step * step,
        min_notional=min_notional,
        max_notional=9_000_000 * SCALE,
        max_position=max_qty * MAX_POSITION_ORDERS,
    )


def instrument_for_price(symbol: str, price: float, volume_decimals: int = 8) -> Instrument:
    """Choose tick and step for a symbol known only by its price.

    The tick keeps about five significant digits; the step is the finest that keeps notionals exact.
    """
    digits = len(str(int(price))) if price >= 1 else -_leading_zeros(price)
    tick_decimals = min(8, max(0, 5 - digits))
    step_decimals = max(0, min(DEFAULT_STEP_DECIMALS, volume_decimals, 8 - tick_decimals))
    return make_instrument(symbol, 10 ** (8 - tick_decimals), 10 ** (8 - step_decimals), price)


DEFAULT_STEP_DECIMALS = 5
# Far above what one account needs: ten thousand of the largest orders.
MAX_POSITION_ORDERS = 10_000


def _leading_zeros(price: float) -> int:
    zeros = 0
    while price < 0.1 and zeros < 8:
        price *= 10
        zeros += 1
    return zeros


def precision_of(values: list[int]) -> int:
    """The finest decimal places used by any of these unit amounts."""
    return max((decimals_of(value) for value in values if value), default=0)
