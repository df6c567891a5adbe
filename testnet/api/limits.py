"""Request weight per address and order counts per account, on wall time; each market has its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from testnet.errors import ApiError

MINUTE_MS = 60_000
DAY_MS = 86_400_000
# Requests sent while already refused before the address is banned, and the first ban's length.
PATIENCE = 50
FIRST_BAN_S = 120
LONGEST_BAN_S = 3 * 86_400
MAX_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class OrderWindow:
    """A limit on orders per account: at most `limit` in each window of wall time."""

    interval: str
    number: int
    length_ms: int
    limit: int
    header: str


@dataclass(frozen=True, slots=True)
class MarketLimits:
    """What one market allows; `raw` is requests per five minutes, 0 for no such limit."""

    weight: int
    raw: int
    windows: tuple[OrderWindow, ...]

    def announced(self) -> list[dict[str, Any]]:
        """The `rateLimits` of exchangeInfo."""
        rows: list[dict[str, Any]] = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self.weight,
            }
        ]
        rows += [
            {"rateLimitType": "ORDERS", "interval": w.interval, "intervalNum": w.number, "limit": w.limit}
            for w in self.windows
        ]
        if self.raw:
            rows.append(
                {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": self.raw}
            )
        return rows


MARKET_LIMITS: dict[str, MarketLimits] = {
    "spot": MarketLimits(
        6_000,
        61_000,
        (
            OrderWindow("SECOND", 10, 10_000, 100, "X-MBX-ORDER-COUNT-10S"),
            OrderWindow("DAY", 1, DAY_MS, 200_000, "X-MBX-ORDER-COUNT-1D"),
        ),
    ),
    "usdm": MarketLimits(
        2_400,
        0,
        (
            OrderWindow("SECOND", 10, 10_000, 300, "X-MBX-ORDER-COUNT-10S"),
            OrderWindow("MINUTE", 1, MINUTE_MS, 1_200, "X-MBX-ORDER-COUNT-1M"),
        ),
    ),
}
RATE_LIMITS: list[dict[str, Any]] = MARKET_LIMITS["spot"].announced()
USDM_RATE_LIMITS: list[dict[str, Any]] = MARKET_LIMITS["usdm"].announced()


@dataclass(slots=True)
class AddressUse:
    """What one address has used of one market in the current windows."""

    minute: int = 0
    weight: int = 0
    five_minutes: int = 0
    raw: int = 0
    refused: int = 0
    bans: int = 0
    banned_until_ms: int = 0


@dataclass(slots=True)
class OrderUse:
    """Unfilled orders an account has placed in the current windows of one market."""

    starts: list[int] = field(default_factory=lambda: [0, 0])
    counts: list[int] = field(default_factory=lambda: [0, 0])


class RateLimits:
    """Counts and refuses; `enabled=False` only counts."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self._addresses: dict[tuple[str, str], AddressUse] = {}
        self._orders: dict[tuple[str, str], OrderUse] = {}

    def charge(self, address: str, weight: int, now_ms: int, market: str = "spot") -> int:
        """Count a request; return the weight used this minute.

        Raises
        ------
        ApiError : 429 with Retry-After above a limit, 418 while banned.
        """
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.clear()
        allowed = MARKET_LIMITS[market]
        use = self._addresses.get((address, market))
        if use is None:
            use = self._addresses[address, market] = AddressUse()
        if self.enabled and use.banned_until_ms > now_ms:
            raise self._banned(use, now_ms)
        if use.minute != now_ms // MINUTE_MS:
            use.minute, use.weight, use.refused = now_ms // MINUTE_MS, 0, 0
        if use.five_minutes != now_ms // (5 * MINUTE_MS):
            use.five_minutes, use.raw = now_ms // (5 * MINUTE_MS), 0
        use.weight += weight
        use.raw += 1
        too_many = allowed.raw > 0 and use.raw > allowed.raw
        if not self.enabled or (use.weight <= allowed.weight and not too_many):
            return use.weight
        use.refused += 1
        if use.refused > PATIENCE:
            length = min(LONGEST_BAN_S, FIRST_BAN_S * 2**use.bans)
            use.bans += 1
            use.banned_until_ms = now_ms + length * 1000
            raise self._banned(use, now_ms)
        if use.weight > allowed.weight:
            wait, limit, span, what = MINUTE_MS, allowed.weight, "1 MINUTE", "request weight"
        else:
            wait, limit, span, what = 5 * MINUTE_MS, allowed.raw, "5 MINUTE", "requests"
        raise ApiError(
            -1003,
            f"Too much {what} used; current limit is {limit} {what} per {span}. Please use WebSocket "
            "Streams for live updates to avoid polling the API.",
            429,
            1 + (wait - now_ms % wait) // 1000,
        )

    def _banned(self, use: AddressUse, now_ms: int) -> ApiError:
        return ApiError(
            -1003,
            f"Way too much request weight used; IP banned until {use.banned_until_ms}. Please use "
            "WebSocket Streams for live updates to avoid bans.",
            418,
            1 + (use.banned_until_ms - now_ms) // 1000,
        )

    def used(self, address: str, market: str = "spot") -> int:
        """Weight used by an address this minute."""
        use = self._addresses.get((address, market))
        return use.weight if use is not None else 0

    def check_order(self, account_id: str, now_ms: int, market: str = "spot", orders: int = 1) -> None:
        """Refuse orders above the account's limits: 429 with -1015."""
        use = self._use(account_id, now_ms, market)
        if not self.enabled:
            return
        for count, window in zip(use.counts, MARKET_LIMITS[market].windows, strict=True):
            if count + orders > window.limit:
                raise ApiError(
                    -1015,
                    f"Too many new orders; current limit is {window.limit} orders per "
                    f"{window.number} {window.interval}.",
                    429,
                    1 + (window.length_ms - now_ms % window.length_ms) // 1000,
                )

    def count_order(self, account_id: str, now_ms: int, market: str = "spot", orders: int = 1) -> None:
        """Count accepted orders."""
        use = self._use(account_id, now_ms, market)
        use.counts = [count + orders for count in use.counts]

    def credit_order(self, account_id: str, now_ms: int, market: str = "spot") -> None:
        """Give back an order's count at its first fill."""
        use = self._use(account_id, now_ms, market)
        use.counts = [max(0, count - 1) for count in use.counts]

    def order_counts(self, account_id: str, now_ms: int, market: str = "spot") -> tuple[int, ...]:
        """Orders counted in each of the market's windows."""
        return tuple(self._use(account_id, now_ms, market).counts)

    def order_rows(self, account_id: str, now_ms: int, market: str = "spot") -> list[dict[str, Any]]:
        """The ORDERS limits with what the account has used of each."""
        counts = self.order_counts(account_id, now_ms, market)
        rows = [row for row in MARKET_LIMITS[market].announced() if row["rateLimitType"] == "ORDERS"]
        return [{**row, "count": count} for row, count in zip(rows, counts, strict=True)]

    def order_headers(self, account_id: str, now_ms: int, market: str = "spot") -> dict[str, str]:
        """The order count headers of an answer to a placement."""
        counts = self.order_counts(account_id, now_ms, market)
        windows = MARKET_LIMITS[market].windows
        return {window.header: str(count) for window, count in zip(windows, counts, strict=True)}

    def _use(self, account_id: str, now_ms: int, market: str) -> OrderUse:
        use = self._orders.get((account_id, market))
        if use is None:
            use = self._orders[account_id, market] = OrderUse()
        for index, window in enumerate(MARKET_LIMITS[market].windows):
            start = now_ms // window.length_ms
            if use.starts[index] != start:
                use.starts[index], use.counts[index] = start, 0
        return use
