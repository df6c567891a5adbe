"""What every private adapter does the same way: the venue's clock, reads that are repeated, writes that are not.

A placement goes out once and its failure is told as it is. A read may be asked again; so may a write that changes
nothing the second time (a cancel, a setting), when its first answer was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import OrderReport
from universe.adapters.binance import Priority, SpotClient

RECV_WINDOW_MS: Final = 2000
DOES_NOT_EXIST: Final = -2013
UNKNOWN_ORDER: Final = -2011
_OUTSIDE_WINDOW: Final = -1021
_OFFSET_LIFE_S: Final = 30.0
_OFFSET_TRIES = 4
_OFFSET_CALL_NS = 100_000_000
_READS: Final = 3
_REPEATS: Final = 2


class SignedCalls:
    """One key on one account of one market. One instance per thread."""

    TIME_PATH: ClassVar[str]

    def __init__(self, client: SpotClient, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._offset_ms = 0
        self._offset_at = float("-inf")

    def server_time_ms(self) -> int:
        """The venue's clock by our own and the measured offset, measured anew every 30 seconds."""
        if time.monotonic() - self._offset_at > _OFFSET_LIFE_S:
            self.measure_offset()
        return time.time_ns() // 1_000_000 + self._offset_ms

    def measure_offset(self) -> int:
        """Measure how far the venue's clock is ahead of ours, in milliseconds, at the middle of one call.

        Half the call's duration is how wrong that can be, so a slow call is tried again and the quickest one counts.
        """
        quickest: int | None = None
        for _ in range(_OFFSET_TRIES):
            before = time.time_ns()
            server = int(self._read(self.TIME_PATH, {}, signed=False)["serverTime"])
            after = time.time_ns()
            if quickest is None or after - before < quickest:
                quickest = after - before
                self._offset_ms = server - (before + after) // 2_000_000
            if quickest < _OFFSET_CALL_NS:
                break
        self._offset_at = time.monotonic()
        return self._offset_ms

    def _write_once(
        self, method: str, path: str, params: Mapping[str, Any], *, timestamp_ms: int, recv_window_ms: int
    ) -> Any:
        """Send a write that must not be repeated, signed with exactly this timestamp and window."""
        return self._client.signed_request(
            method, path, params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms
        )

    def _signed(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        return self._client.signed_request(
            method,
            path,
            params,
            timestamp_ms=self.server_time_ms(),
            recv_window_ms=RECV_WINDOW_MS,
            priority=Priority.READ if method == "GET" else Priority.EXIT,
        )

    def _read(self, path: str, params: Mapping[str, Any], *, signed: bool = True) -> Any:
        for attempt in range(_READS):
            try:
                if signed:
                    return self._signed("GET", path, params)
                return self._client.public_request(path, params)
            except VenueUnavailable as error:
                if attempt == _READS - 1 or (error.retry_after_s or 0) > 1:
                    raise
                self._sleep(0.1 * 2**attempt)
            except VenueRejected as error:
                if attempt == _READS - 1 or error.code != _OUTSIDE_WINDOW:
                    raise
                self._offset_at = float("-inf")  # our idea of the venue's clock was wrong
        raise AssertionError("the loop returns or raises")

    def _found(self, path: str, params: Mapping[str, Any]) -> Any:
        """Read one thing; None only for the venue's definitive "does not exist"."""
        try:
            return self._read(path, params)
        except VenueRejected as error:
            if error.code == DOES_NOT_EXIST:
                return None
            raise

    def _repeatable(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        """Send a write that is safe to repeat; a lost answer is asked for again.

        Raises
        ------
        VenueUnavailable : no answer twice. VenueRejected.
        """
        last: OutcomeUnknown | None = None
        for attempt in range(_REPEATS):
            try:
                return self._signed(method, path, params)
            except OutcomeUnknown as error:
                last = error
                self._sleep(0.1 * (attempt + 1))
            except VenueRejected as error:
                if error.code != _OUTSIDE_WINDOW or attempt:
                    raise
                self._offset_at = float("-inf")
        message = last.message if last is not None else "outside of the receive window"
        raise VenueUnavailable(None, f"{method} {path} was not answered: {message}") from last

    def _canceled(self, path: str, params: Mapping[str, Any]) -> Any:
        """Cancel; None when the venue does not know it as open."""
        try:
            return self._repeatable("DELETE", path, params)
        except VenueRejected as error:
            if error.code == UNKNOWN_ORDER:
                return None
            raise


def answer_about(
    parse: Callable[[Mapping[str, Any]], OrderReport], answer: Any, symbol: str, client_order_id: str
) -> OrderReport:
    """Read the answer to a placement; one that is about something else proves nothing.

    Raises
    ------
    OutcomeUnknown : it cannot be read, or names another order.
    """
    try:
        report = parse(answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OutcomeUnknown(client_order_id, f"an answer that cannot be read: {error!r}") from error
    if report.symbol != symbol or report.client_order_id != client_order_id:
        raise OutcomeUnknown(client_order_id, f"an answer about {report.symbol} {report.client_order_id}")
    return report
