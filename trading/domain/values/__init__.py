"""Words and numbers of the trade: sides, levels, exact amounts, symbols and instruments."""

from trading.domain.values.enums import (
    Level,
    ListKind,
    Market,
    OrderService,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trading.domain.values.instrument import Instrument
from trading.domain.values.numbers import (
    MOST_DIGITS,
    UNITS,
    TooManyDigits,
    decimal_of,
    decimal_text,
    exact_product,
    floor_to_step,
    from_units,
    multiple_of,
    round_to_tick,
    times_of,
    to_units,
    written_decimal,
)
from trading.domain.values.symbols import normalise_symbol, split_symbol

__all__ = [
    "MOST_DIGITS",
    "UNITS",
    "Instrument",
    "Level",
    "ListKind",
    "Market",
    "OrderService",
    "OrderType",
    "PositionSide",
    "Side",
    "TimeInForce",
    "TooManyDigits",
    "WorkingType",
    "decimal_of",
    "decimal_text",
    "exact_product",
    "floor_to_step",
    "from_units",
    "multiple_of",
    "normalise_symbol",
    "round_to_tick",
    "split_symbol",
    "times_of",
    "to_units",
    "written_decimal",
]
