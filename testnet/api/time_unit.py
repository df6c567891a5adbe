"""Times in microseconds, for clients that ask for them (`X-MBX-TIME-UNIT`, `timeUnit`)."""

from __future__ import annotations

from typing import Any

from testnet.errors import ApiError

MILLISECOND = "MILLISECOND"
MICROSECOND = "MICROSECOND"

_TIMES = frozenset(
    {
        # REST and WebSocket API
        *("serverTime", "time", "updateTime", "workingTime", "transactTime", "transactionTime"),
        *("openTime", "closeTime", "T", "authorizedSince", "connectedSince"),
        # private events
        *("E", "O", "W", "D", "u"),
    }
)
# The candle rows name nothing: these places hold open and close time.
_KLINE_TIMES = (0, 6)


def time_unit(asked: str | None) -> str:
    """The unit a client asked for; milliseconds unless it did.

    Raises
    ------
    ApiError : -1194 for any other word.
    """
    if not asked:
        return MILLISECOND
    unit = asked.upper()
    if unit not in (MILLISECOND, MICROSECOND):
        raise ApiError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    return unit


def in_microseconds(answer: Any, path: str = "") -> Any:
    """A copy of a spot answer with every time in microseconds; -1 and 0, which mean no time, stay."""
    if path.lower().endswith("klines"):
        return [
            [cell * 1000 if index in _KLINE_TIMES else cell for index, cell in enumerate(row)]
            for row in answer
        ]
    return _scaled(answer)


def _scaled(value: Any) -> Any:
    if isinstance(value, list):
        return [_scaled(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _time(item) if name in _TIMES else _scaled(item) for name, item in value.items()}


def _time(value: Any) -> Any:
    is_time = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value * 1000 if is_time else _scaled(value)
