"""The API's own rate limit, per user. A cache that is down costs the limit, never the request."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)
PERIODS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class UserThrottle(BaseThrottle):
    """A sliding window of two counters: this period, and the last weighted by how much of it still counts.

    Two integers per user instead of DRF's list of time stamps, which at thousands a minute is a large value
    to read and write on every request.
    """

    scope = "user"

    def __init__(self) -> None:
        self._wait_s: float | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        rate = api_settings.DEFAULT_THROTTLE_RATES.get(self.scope)
        if not rate:
            return True
        limit, period_s = parse_rate(str(rate))
        who = f"u{request.user.pk}" if request.user.is_authenticated else f"a{self.get_ident(request)}"
        try:
            return self._count(who, limit, period_s, time.time())
        except (RedisError, OSError) as error:
            log.warning("throttle_unavailable", error=type(error).__name__)
            return True

    def wait(self) -> float | None:
        return self._wait_s

    def _count(self, who: str, limit: int, period_s: int, now_s: float) -> bool:
        window = int(now_s // period_s)
        this, last = f"throttle:{self.scope}:{who}:{window}", f"throttle:{self.scope}:{who}:{window - 1}"
        cache.add(this, 0, timeout=2 * period_s)
        try:
            current = cache.incr(this)
        except ValueError:  # expired or evicted between the two calls
            current = 1
        elapsed = now_s % period_s
        carried = (cache.get(last) or 0) * (1 - elapsed / period_s)
        if current + carried <= limit:
            return True
        self._wait_s = max(1, math.ceil(period_s - elapsed))
        return False


def parse_rate(rate: str) -> tuple[int, int]:
    """`6000/min` -> (6000, 60)."""
    count, _, period = rate.partition("/")
    return int(count), PERIODS_S[period[0]]
