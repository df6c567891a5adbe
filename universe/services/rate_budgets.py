"""The counts every process shares: in Valkey, where that is down in Postgres, and alone where that is down too."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from universe.adapters.binance.budget import BudgetUnavailable, Charge, LayeredBudget, LocalBudget, Verdict

log = structlog.get_logger(__name__)

ALONE_SHARE: Final = 0.1
"""Of every limit, for a process that can reach no shared count: ten of them together still keep within it."""
TIMEOUT_S: Final = 0.25

# One step for everybody: the wait, then every count, then all charges or none.
_CHARGE: Final = """
local until_ms = tonumber(redis.call('GET', KEYS[1]) or '0')
local now_ms = tonumber(ARGV[1])
if until_ms > now_ms then return {-2, until_ms - now_ms} end
local used = {0}
for i = 2, #KEYS do
  local at = 2 + (i - 2) * 3
  local before = tonumber(redis.call('GET', KEYS[i]) or '0')
  used[i] = before
  if tonumber(ARGV[at]) > 0 and before + tonumber(ARGV[at]) > tonumber(ARGV[at + 1]) then
    return {-1, i - 2, before}
  end
end
for i = 2, #KEYS do
  local at = 2 + (i - 2) * 3
  used[i] = redis.call('INCRBY', KEYS[i], ARGV[at])
  redis.call('PEXPIRE', KEYS[i], ARGV[at + 2])
end
used[1] = 0
return used
"""
_CORRECT: Final = """
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) > before then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 0
"""
_BLOCK: Final = """
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) > before then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 0
"""


class ValkeyBudget:
    """Counts in Valkey: one script per charge, so that no two processes can both take the last of a limit."""

    def __init__(self, url: str, *, prefix: str = "rate") -> None:
        self._prefix = prefix
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        self._charge = self._client.register_script(_CHARGE)
        self._correct = self._client.register_script(_CORRECT)
        self._block = self._client.register_script(_BLOCK)
        self._counted: dict[str, int] = {}

    def charge(self, venue: str, charges: Sequence[Charge], now: datetime) -> Verdict:
        keys = [f"{self._prefix}:{venue}:until", *(f"{self._prefix}:{c.key}" for c in charges)]
        arguments: list[int] = [_ms(now)]
        for charge in charges:
            arguments += [charge.amount, charge.ceiling, int(charge.expires_s * 1000)]
        answer: list[int] = self._call(self._charge, keys, arguments)
        if answer[0] == -2:
            return Verdict(blocked_s=answer[1] / 1000)
        if answer[0] == -1:
            used = [0] * len(charges)
            used[answer[1]] = answer[2]
            return Verdict(tuple(used), full=answer[1])
        self._counted = {charge.key: used for charge, used in zip(charges, answer[1:], strict=True)}
        return Verdict(tuple(answer[1:]))

    def correct(self, key: str, at_least: int, expires_s: float) -> None:
        """Raise a count; nothing is asked where the last charge has just found it as high, for it never falls."""
        if at_least <= self._counted.get(key, -1):
            return
        self._call(self._correct, [f"{self._prefix}:{key}"], [at_least, int(expires_s * 1000)])

    def block(self, venue: str, until: datetime) -> None:
        left_ms = max(1, _ms(until) - _ms(datetime.now(UTC)))
        self._call(self._block, [f"{self._prefix}:{venue}:until"], [_ms(until), left_ms])

    def _call(self, script: Any, keys: list[str], arguments: list[int]) -> Any:
        try:
            return script(keys=keys, args=arguments)
        except redis.RedisError as error:
            log.warning("rate_budget_without_valkey", error=type(error).__name__)
            raise BudgetUnavailable(type(error).__name__) from error


_TAKE: Final = """
INSERT INTO universe_ratecount AS count (key, used, expires_at)
SELECT %(key)s, %(amount)s, %(expires)s WHERE %(amount)s <= %(ceiling)s
ON CONFLICT (key) DO UPDATE SET used = count.used + excluded.used
 WHERE count.used + excluded.used <= %(ceiling)s
RETURNING used
"""
_RAISE: Final = """
INSERT INTO universe_ratecount AS count (key, used, expires_at) VALUES (%s, %s, %s)
ON CONFLICT (key) DO UPDATE SET used = GREATEST(count.used, excluded.used)
"""


class PostgresBudget:
    """The same counts as rows, each taken by one conditional statement.

    A charge that finds a later count full leaves what it took of the earlier ones taken: too careful, never too
    bold. Inside a transaction the row would stay locked until its end, so there it is not used.
    """

    def charge(self, venue: str, charges: Sequence[Charge], now: datetime) -> Verdict:
        if connection.in_atomic_block:
            raise BudgetUnavailable("inside a transaction")
        try:
            with connection.cursor() as cursor:
                used: list[int] = []
                for index, charge in enumerate(charges):
                    expires = datetime.fromtimestamp(now.timestamp() + charge.expires_s, UTC)
                    cursor.execute(
                        _TAKE,
                        {
                            "key": charge.key,
                            "amount": charge.amount,
                            "ceiling": charge.ceiling if charge.amount else 2**31 - 1,
                            "expires": expires,
                        },
                    )
                    row = cursor.fetchone()
                    if row is None:
                        cursor.execute("SELECT used FROM universe_ratecount WHERE key = %s", [charge.key])
                        found = cursor.fetchone()
                        return Verdict((*used, found[0] if found else 0), full=index)
                    used.append(row[0])
                return Verdict(tuple(used))
        except DatabaseError as error:
            raise BudgetUnavailable(type(error).__name__) from error

    def correct(self, key: str, at_least: int, expires_s: float) -> None:
        if connection.in_atomic_block:
            raise BudgetUnavailable("inside a transaction")
        expires = datetime.fromtimestamp(datetime.now(UTC).timestamp() + expires_s, UTC)
        try:
            with connection.cursor() as cursor:
                cursor.execute(_RAISE, [key, at_least, expires])
        except DatabaseError as error:
            raise BudgetUnavailable(type(error).__name__) from error

    def block(self, venue: str, until: datetime) -> None:
        """The wait is kept with the venue's figures (`VenueBackoff`), which every permit reads."""


class _CorrectsWhenUsed(PostgresBudget):
    """Rows are corrected only after one was charged here: with Valkey up, an answer costs no write."""

    def __init__(self) -> None:
        self._used_at = 0.0

    def charge(self, venue: str, charges: Sequence[Charge], now: datetime) -> Verdict:
        verdict = super().charge(venue, charges, now)
        self._used_at = now.timestamp()
        return verdict

    def correct(self, key: str, at_least: int, expires_s: float) -> None:
        if datetime.now(UTC).timestamp() - self._used_at < 60:
            super().correct(key, at_least, expires_s)


_shared: LayeredBudget | None = None
_making = threading.Lock()


def shared_budget() -> LayeredBudget:
    """The process's way to the shared counts: Valkey, then Postgres, then a tenth of every limit on its own."""
    global _shared
    with _making:
        if _shared is None:
            cache = settings.CACHES["default"]
            prefix = ":".join(filter(None, [str(cache.get("KEY_PREFIX", "")), "rate"]))
            _shared = LayeredBudget(
                ValkeyBudget(str(cache["LOCATION"]), prefix=prefix),
                _CorrectsWhenUsed(),
                LocalBudget(share=ALONE_SHARE),
            )
        return _shared


def rate_counts_prune() -> int:
    """Delete counts whose window is over. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM universe_ratecount WHERE expires_at < now()")
        return int(cursor.rowcount)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
