"""Rows of a kline file as text, before anybody has judged them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

REQUIRED: Final = ("open_time", "open", "high", "low", "close", "volume")
OPTIONAL: Final = ("quote_volume", "trades", "taker_base", "taker_quote")

# Spellings seen in the public archive, freqtrade, exchange exports and data vendors' files.
ALIASES: Final = {
    "date": "open_time", "datetime": "open_time", "time": "open_time", "timestamp": "open_time",
    "open_time": "open_time", "opentime": "open_time",
    "open": "open", "high": "high", "low": "low", "close": "close",
    "volume": "volume", "base_volume": "volume", "vol": "volume",
    "quote_volume": "quote_volume", "quote_asset_volume": "quote_volume",
    "count": "trades", "trades": "trades", "number_of_trades": "trades", "trade_count": "trades",
    "taker_buy_volume": "taker_base", "taker_buy_base_asset_volume": "taker_base", "taker_base": "taker_base",
    "taker_buy_base_volume": "taker_base",
    "taker_buy_quote_volume": "taker_quote", "taker_buy_quote_asset_volume": "taker_quote",
    "taker_quote": "taker_quote",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file was refused, and at which line; rows of formats without lines are counted from 1."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class KlineFileRefused(ValueError):
    """The whole file is refused; nothing of it is stored."""

    def __init__(self, name: str, problems: Sequence[Problem], *, more: int = 0) -> None:
        self.name = name
        self.problems = tuple(problems)
        self.more = more
        shown = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"{name}: {shown}" + (f"; and {more} more" if more else ""))


@dataclass(frozen=True, slots=True)
class KlineRows:
    """Columns of text, one entry per row, with the line each row came from.

    Every column of REQUIRED is there; those of OPTIONAL where the file has them. `open_time` is an
    integer of s, ms or us since the epoch, or an ISO date and time (UTC where it names no zone).
    """

    name: str
    columns: dict[str, list[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)


def canonical_column(header: str) -> str | None:
    """Return our name of a column, or None for one we do not use."""
    return ALIASES.get(header.strip().lower().replace(" ", "_"))
