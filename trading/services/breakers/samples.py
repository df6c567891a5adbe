"""Writing down what breakers judge by: each finished call to a venue, and values no other row tells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import cast

import structlog
from django.db import DatabaseError, connection, transaction

from nautilus_site.common.clock import now
from trading import metrics
from trading.domain.ports import BalanceReport, ExecutionVenue, FuturesVenue, PositionReport
from trading.domain.values import Market
from trading.models import Account, BreakerSample, VenueCallWindow
from trading.services.breakers.evaluation import breakers_evaluate
from universe.domain.calls import CallOutcome

log = structlog.get_logger(__name__)

# Answers that are a breaker's business whatever the rate of failures is.
CODES = {-1008: "venue_overload", -2015: "key_rejected"}
KEEP = timedelta(hours=1)
MEASURE_EVERY_S = 10.0
MARGIN_ASSET = "USDT"
_measured_at: dict[int, float] = {}


_COUNT_IN_TRANSACTION = """
INSERT INTO trading_venuecallwindow (venue, second, calls, errors) VALUES (%(venue)s, %(second)s, 1, %(failed)s)
ON CONFLICT (venue, second) DO UPDATE SET calls = trading_venuecallwindow.calls + 1,
    errors = trading_venuecallwindow.errors + EXCLUDED.errors
RETURNING EXISTS (SELECT 1 FROM trading_circuitbreaker WHERE scope = %(scope)s AND state = 'half_open')
"""
_COUNT = f"""
WITH counted AS ({_COUNT_IN_TRANSACTION})
SELECT exists, set_config('synchronous_commit', 'off', true) FROM counted
"""  # noqa: S608  only our own constants are put in


def venue_call_observed(venue: str, outcome: CallOutcome, latency_s: float, code: int | None) -> None:
    """Count one finished call. Never raises: losing a figure must not lose an order's answer.

    A call of unknown outcome is not counted; asking what became of it is, and that call will be.
    """
    if outcome is CallOutcome.UNKNOWN:
        return
    failed = outcome is CallOutcome.ERROR
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                # A count may be lost with the database's last moments: no answer waits for the disk because of it.
                # In a caller's own transaction that would be said of the caller's rows, too.
                _COUNT_IN_TRANSACTION if connection.in_atomic_block else _COUNT,
                {
                    "venue": venue,
                    "second": int(now().timestamp()),
                    "failed": int(failed),
                    "scope": f"venue:{venue}",
                },
            )
            half_open = cursor.fetchone()[0]
        if code in (-1003, -1015):
            metrics.RATE_LIMITED.labels(venue=venue).inc()
        if code in CODES:
            sample_note(name=CODES[code], scope=f"venue:{venue}", value=1)
        if failed or code in CODES or half_open:
            breakers_evaluate(venue=venue, probe_ok=not failed)
    except DatabaseError as error:
        log.warning("venue_call_not_counted", venue=venue, error=type(error).__name__)


def sample_note(*, name: str, scope: str, value: float) -> None:
    """Write one measured value down."""
    BreakerSample.objects.create(name=name, scope=scope, at=now(), value=value)


def commit_measure() -> float:
    """Commit one row, write down how long that took, and return it in milliseconds."""
    started = time.perf_counter()
    with transaction.atomic():
        row = BreakerSample.objects.create(name="commit_latency_p99", scope="global", at=now(), value=0)
    took = (time.perf_counter() - started) * 1000
    BreakerSample.objects.filter(pk=row.pk).update(value=took)
    return took


def account_measure(account: Account, venue: ExecutionVenue) -> None:
    """Write down what only the venue can tell: its clock against ours, and how far the margin is used up."""
    name, moment = account.venue.name, time.monotonic()
    if moment - _measured_at.get(account.pk, float("-inf")) < MEASURE_EVERY_S:
        return
    _measured_at[account.pk] = moment
    offset_ms = venue.server_time_ms() - time.time_ns() // 1_000_000
    sample_note(name="clock_offset", scope=f"venue:{name}", value=offset_ms)
    if account.market == Market.usdm:
        futures = cast(FuturesVenue, venue)
        ratio = margin_used_pct(futures.balances(), futures.positions(None))
        sample_note(name="margin_ratio", scope=f"account:{account.name}", value=ratio)


def margin_used_pct(balances: Sequence[BalanceReport], positions: Sequence[PositionReport]) -> float:
    """Maintenance margin in per cent of wallet and unrealised results in the margin asset; 100 where that is gone."""
    needed = sum((p.maintenance_margin for p in positions), Decimal(0))
    wallet = sum((b.free + b.locked for b in balances if b.asset == MARGIN_ASSET), Decimal(0))
    worth = wallet + sum((p.unrealized for p in positions), Decimal(0))
    if needed <= 0:
        return 0.0
    return float(100 * needed / worth) if worth > 0 else 100.0


def breaker_windows_prune(keep_s: int = 3600) -> int:
    """Delete call counts and samples older than any window. Returns how many."""
    deleted, _ = VenueCallWindow.objects.filter(second__lt=int(now().timestamp()) - keep_s).delete()
    old, _ = BreakerSample.objects.filter(at__lt=now() - KEEP).delete()
    return deleted + old
