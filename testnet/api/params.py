"""Request parameters: named text values, read with the venue's own complaints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from testnet.errors import ApiError, illegal_characters, mandatory, too_precise
from testnet.klines import INTERVALS
from testnet.values import DECIMAL_PATTERN, MalformedDecimal, TooPrecise, parse_units
from testnet.wire_json import read_json

_INTEGER = re.compile(r"[0-9]{1,20}", re.ASCII)
_INTEGER_RANGE = "^[0-9]{1,20}$"
_MAX_LONG = 2**63 - 1
_SYMBOL = re.compile(r"[A-Z0-9_.-]{1,20}", re.ASCII)
_SYMBOL_RANGE = "^[A-Z0-9-_.]{1,20}$"
CLIENT_ID_RANGE = r"^[a-zA-Z0-9-_.:/]{1,36}$"
_CLIENT_ID = re.compile(r"[a-zA-Z0-9_.:/-]{1,36}", re.ASCII)
_RECV_WINDOW = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,3})?", re.ASCII)
DEFAULT_RECV_WINDOW_MS = 5_000.0
MAX_RECV_WINDOW_MS = 60_000.0


class Params:
    """Parameters of one request; an empty value counts as not sent."""

    __slots__ = ("market", "values")

    def __init__(self, values: dict[str, str], market: str = "spot") -> None:
        self.values = values
        # Some refusals read differently on the futures market.
        self.market = market

    @classmethod
    def from_raw(cls, query: str, body: str, market: str = "spot") -> Params:
        """Decode a raw query string and form body; a name in both takes the query's value.

        Raises
        ------
        ApiError : -1101 for a name given twice in one of them, -1100 for broken text.
        """
        values = _decode(body)
        values.update(_decode(query))
        return cls(values, market)

    def has(self, name: str) -> bool:
        """True when a non-empty value was sent."""
        return bool(self.values.get(name))

    def text(self, name: str) -> str:
        """A mandatory value as sent."""
        value = self.values.get(name)
        if not value:
            raise mandatory(name)
        return value

    def choice(self, name: str, allowed: Iterable[str], code: int, message: str) -> str:
        """A mandatory value out of a list, refused with its own code otherwise."""
        value = self.text(name)
        if value not in allowed:
            raise ApiError(code, message)
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        """An optional non-negative integer."""
        value = self.values.get(name)
        if not value:
            return default
        if not _INTEGER.fullmatch(value):
            raise illegal_characters(name, _INTEGER_RANGE)
        number = int(value)
        if number > _MAX_LONG:
            raise ApiError(-1108, f"Parameter '{name}' overflowed.")
        return number

    def limit(self, default: int, maximum: int) -> int:
        """`limit`: at least 1, cut to the maximum as the venue does."""
        value = self.integer("limit", default)
        if value is None or value < 1:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, maximum)

    def units(self, name: str) -> int:
        """An optional plain decimal in 1e-8 units, 0 when absent."""
        value = self.values.get(name)
        if not value:
            return 0
        try:
            return parse_units(value)
        except MalformedDecimal:
            raise illegal_characters(name, DECIMAL_PATTERN) from None
        except TooPrecise:
            raise too_precise(name, self.market) from None

    def boolean(self, name: str, *, default: bool) -> bool:
        """An optional `true` or `false`."""
        value = self.values.get(name)
        if not value:
            return default
        if value.lower() not in ("true", "false"):
            raise illegal_characters(name, "^(true|false)$")
        return value.lower() == "true"

    def symbol(self, name: str = "symbol") -> str:
        """A mandatory symbol in upper case; only its shape is checked here."""
        value = self.text(name)
        if not _SYMBOL.fullmatch(value):
            raise illegal_characters(name, _SYMBOL_RANGE)
        return value

    def symbols(self) -> list[str] | None:
        """`symbol` or `symbols` (a JSON array); None when neither was sent."""
        if self.has("symbol") and self.has("symbols"):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if self.has("symbol"):
            return [self.symbol()]
        if not self.has("symbols"):
            return None
        pattern = r'^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$'
        try:
            names = read_json(self.values["symbols"])
        except ValueError:
            raise illegal_characters("symbols", pattern) from None
        if (
            not isinstance(names, list)
            or not names
            or not all(isinstance(name, str) and _SYMBOL.fullmatch(name) for name in names)
        ):
            raise illegal_characters("symbols", pattern)
        return names

    def interval(self, *more: str) -> str:
        """A mandatory candle interval, of the common ones or one of `more`."""
        return self.choice("interval", {*INTERVALS, *more}, -1120, "Invalid interval.")

    def client_id(self, name: str) -> str | None:
        """An optional client order id."""
        value = self.values.get(name)
        if not value:
            return None
        if not _CLIENT_ID.fullmatch(value):
            raise illegal_characters(name, CLIENT_ID_RANGE)
        return value

    def recv_window_ms(self) -> float:
        """`recvWindow`, at most 60000 with up to three decimals."""
        value = self.values.get("recvWindow")
        if not value:
            return DEFAULT_RECV_WINDOW_MS
        if not _RECV_WINDOW.fullmatch(value):
            raise illegal_characters("recvWindow", "^[0-9]{1,8}(\\.[0-9]{1,3})?$")
        window = float(value)
        if window > MAX_RECV_WINDOW_MS:
            raise ApiError(-1131, "recvWindow must be less than 60000.")
        return window

    def time_ms(self, name: str) -> int | None:
        """An optional time, in milliseconds or microseconds."""
        value = self.integer(name)
        return value // 1000 if value is not None and value > 10**14 else value


def _decode(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name = unquote_plus(name)
        if name in values:
            raise ApiError(-1101, "Too many parameters sent for this endpoint.")
        values[name] = unquote_plus(value)
    return values
