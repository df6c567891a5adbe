"""Words of the trade, spelled as the exchange spells them."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Market(StrEnum):
    """Where an instrument trades."""

    spot = "spot"
    usdm = "usdm"


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL: what a fill does to the position."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(StrEnum):
    """Which position an order belongs to: `BOTH` on spot and in one-way mode, else one of the two of hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class OrderType(StrEnum):
    """What is asked for; a MARKET intent leaves as an IOC limit inside the collar.

    The two markets use one word for different things (`TAKE_PROFIT` is a market order on spot and a limit order
    on USD-M), so conditional types say which they are; the adapters write each market's own word.
    """

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def is_conditional(self) -> bool:
        """Whether it waits for a trigger price before it trades."""
        return self in _CONDITIONAL


_CONDITIONAL = frozenset(
    {
        OrderType.STOP_MARKET,
        OrderType.STOP_LIMIT,
        OrderType.TAKE_PROFIT_MARKET,
        OrderType.TAKE_PROFIT_LIMIT,
        OrderType.TRAILING_STOP_MARKET,
    }
)


class WorkingType(StrEnum):
    """The price a USD-M trigger watches; spot always watches the last trade."""

    MARK_PRICE = "MARK_PRICE"
    CONTRACT_PRICE = "CONTRACT_PRICE"


class OrderService(StrEnum):
    """Where the venue keeps an order: among its orders, or among the conditional (`algo`) orders of USD-M."""

    ORDER = "order"
    ALGO = "algo"


class ListKind(StrEnum):
    """Orders the venue ties together: one cancels the other, one triggers the others."""

    OCO = "OCO"
    OTO = "OTO"
    OTOCO = "OTOCO"


class TimeInForce(StrEnum):
    """How long an order works."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Level(IntEnum):
    """Kill level; the effective level is the maximum over the matching scopes (higher is stricter)."""

    ACTIVE = 0
    REDUCING = 1
    HALT_NEW = 2
    CANCEL = 3
    FLATTEN = 4
