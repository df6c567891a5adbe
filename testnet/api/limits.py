"""Request weight per address and order counts per account, on wall time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from testnet.errors import ApiError

WEIGHT_LIMIT = 6_000
RAW_LIMIT = 61_000
ORDERS_10S = 100
ORDERS_DAY = 200_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
# Requests sent while already refused before the address is banned, and the first ban's length.
PATIENCE = 50
FIRST_BAN_S = 120
LONGEST_BAN_S = 3 * 86_400
MAX_ADDRESSES = 10_000

RATE_LIMITS: list[dict[str, Any]] = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_LIMIT},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_10S},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": ORDERS_DAY},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": RAW_LIMIT},
]


@dataclass(slots=True)
class AddressUse:
    """What one address has used in the current windows."""

    minute: int = 0
    weight: int = 0
    five_minutes: int = 0
    raw: int = 0
    refused: int = 0
    bans: int = 0
    banned_until_ms: int = 0


@dataclass(slots=True)
class OrderUse:
    """Unfilled orders an account has placed in the current windows."""

    recent: deque[int] = field(default_factory=deque)
    day: int = 0
    count_day: int = 0


class RateLimits:
    """Counts and refuses; `enabled=False` only counts."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self._addresses: dict[str, AddressUse] = {}
        self._orders: dict[str, OrderUse] = {}

    def charge(self, address: str, weight: int, now_ms: int) -> int:
        """Count a request; return the weight used this minute.

        Raises
        ------
        ApiError : 429 with Retry-After above a limit, 418 while banned.
        """
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.clear()
        use = self._addresses.setdefault(address, AddressUse())
        if self.enabled and use.banned_until_ms > now_ms:
            raise self._banned(use, now_ms)
        if use.minute != now_ms // MINUTE_MS:
            use.minute, use.weight, use.refused = now_ms // MINUTE_MS, 0, 0
        if use.five_minutes != now_ms // (5 * MINUTE_MS):
            use.five_minutes, use.raw = now_ms // (5 * MINUTE_MS), 0
        use.weight += weight
        use.raw += 1
        if not self.enabled or (use.weight <= WEIGHT_LIMIT and use.raw <= RAW_LIMIT):
            return use.weight
        use.refused += 1
        if use.refused > PATIENCE:
            length = min(LONGEST_BAN_S, FIRST_BAN_S * 2**use.bans)
            use.bans += 1
            use.banned_until_ms = now_ms + length * 1000
            raise self._banned(use, now_ms)
        if use.weight > WEIGHT_LIMIT:
            wait, limit, span = MINUTE_MS, WEIGHT_LIMIT, "1 MINUTE"
            what = "request weight"
        else:
            wait, limit, span, what = 5 * MINUTE_MS, RAW_LIMIT, "5 MINUTE", "requests"
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

    def used(self, address: str) -> int:
        """Weight used by an address this minute."""
        use = self._addresses.get(address)
        return use.weight if use is not None else 0

    def check_order(self, account_id: str, now_ms: int) -> None:
        """Refuse an order above the account's limits: 429 with -1015."""
        use = self._use(account_id, now_ms)
        if not self.enabled:
            return
        for count, limit, span, wait_ms in (
            (len(use.recent), ORDERS_10S, "10 SECOND", 10_000),
            (use.count_day, ORDERS_DAY, "1 DAY", DAY_MS),
        ):
            if count >= limit:
                raise ApiError(
                    -1015,
                    f"Too many new orders; current limit is {limit} orders per {span}.",
                    429,
                    1 + (wait_ms - now_ms % wait_ms) // 1000,
                )

    def count_order(self, account_id: str, now_ms: int) -> None:
        """Count an accepted order."""
        use = self._use(account_id, now_ms)
        use.recent.append(now_ms)
        use.count_day += 1

    def credit_order(self, account_id: str, now_ms: int) -> None:
        """Give back an order's count at its first fill."""
        use = self._use(account_id, now_ms)
        if use.recent:
            use.recent.pop()
        use.count_day = max(0, use.count_day - 1)

    def order_counts(self, account_id: str, now_ms: int) -> tuple[int, int]:
        """Orders counted in the last 10 s window and the day."""
        use = self._use(account_id, now_ms)
        return len(use.recent), use.count_day

    def _use(self, account_id: str, now_ms: int) -> OrderUse:
        use = self._orders.setdefault(account_id, OrderUse())
        start = now_ms // 10_000 * 10_000
        while use.recent and use.recent[0] < start:
            use.recent.popleft()
        if use.day != now_ms // DAY_MS:
            use.day, use.count_day = now_ms // DAY_MS, 0
        return use
