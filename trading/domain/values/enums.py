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


class OrderType(StrEnum):
    """What is asked for; a MARKET intent leaves as an IOC limit inside the collar."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


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
