"""Storing, back-filling and pruning recent bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import datetime_to_ns, interval_ns, ms_to_ns, ns_to_datetime, ns_to_ms
from trading.domain.ports import KlineRecord, MarketData
from universe.domain.bars import BarRecord, Gap, ImpossibleBar, check_bar, closed_bars, find_gaps
from universe.metrics import MARKET_DATA_EVENTS
from universe.models import Bar, Instrument
from universe.selectors.bars import bar_latest_open_time, bar_open_times

log = structlog.get_logger(__name__)

KEEP_DAYS: Mapping[str, int] = {"1s": 2, "1m": 45, "3m": 90, "5m": 120, "15m": 365}
KEEP_DAYS_OTHERWISE = 1500

_UPSERT = """
INSERT INTO universe_bar AS b (
    instrument_id, interval, open_time, close_time, open, high, low, close,
    volume, quote_volume, trades, taker_base, received_at, source)
SELECT %s, %s, r.*, %s, %s
FROM unnest(
    %s::timestamptz[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
    %s::numeric[], %s::numeric[], %s::bigint[], %s::numeric[]) AS r
ON CONFLICT (instrument_id, interval, open_time) DO UPDATE SET
    close_time = excluded.close_time, open = excluded.open, high = excluded.high, low = excluded.low,
    close = excluded.close, volume = excluded.volume, quote_volume = excluded.quote_volume,
    trades = excluded.trades, taker_base = excluded.taker_base,
    received_at = excluded.received_at, source = excluded.source
WHERE (b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.trades, b.taker_base)
    IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume,
                      excluded.quote_volume, excluded.trades, excluded.taker_base)
RETURNING b.open_time, (xmax = 0)
"""


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What a back-fill stored, and the holes that remain because the venue has no bars there."""

    stored: int
    requests: int
    first_open_ns: int | None
    last_open_ns: int | None
    gaps: tuple[Gap, ...]


def bars_store(
    instrument: Instrument,
    interval: str,
    klines: Sequence[KlineRecord],
    source: str,
    *,
    received_at: datetime | None = None,
) -> list[BarRecord]:
    """Store closed bars; returns those that were not stored before, ascending. Idempotent.

    Parameters
    ----------
    klines : closed bars only, the caller knows; the later of two with one open time wins.
    source : stream, rest or import.

    Raises
    ------
    ApplicationError : code IMPOSSIBLE_BAR; none of the bars is stored.
    """
    Bar.Source(source)
    bars = {bar.open_time_ms: bar for bar in klines}
    ordered = [bars[key] for key in sorted(bars)]
    for bar in ordered:
        try:
            check_bar(bar, interval)
        except ImpossibleBar as error:
            raise ApplicationError(
                "IMPOSSIBLE_BAR",
                f"{instrument.symbol} {interval} at {bar.open_time_ms} ms: {error}",
                extra={"symbol": instrument.symbol, "interval": interval, "open_time_ms": bar.open_time_ms},
            ) from error
    if not ordered:
        return []
    columns: list[list[Any]] = [
        [ns_to_datetime(ms_to_ns(b.open_time_ms)) for b in ordered],
        [ns_to_datetime(ms_to_ns(b.close_time_ms)) for b in ordered],
        [b.open for b in ordered],
        [b.high for b in ordered],
        [b.low for b in ordered],
        [b.close for b in ordered],
        [b.volume for b in ordered],
        [b.quote_volume for b in ordered],
        [b.trades for b in ordered],
        [b.taker_base for b in ordered],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [instrument.pk, interval, received_at or wall_now(), source, *columns])
        written = cursor.fetchall()
    new = {datetime_to_ns(open_time) for open_time, inserted in written if inserted}
    revised = len(written) - len(new)
    MARKET_DATA_EVENTS.labels(source=str(source), type="bar").inc(len(new))
    if revised:
        log.warning("bars_revised", symbol=instrument.symbol, interval=interval, count=revised, source=source)
    return [_record(b) for b in ordered if ms_to_ns(b.open_time_ms) in new]


def bars_gaps(
    instrument: Instrument, interval: str, *, since: datetime | None = None, until: datetime | None = None
) -> list[Gap]:
    """Return the holes between stored bars, oldest first."""
    times = bar_open_times(instrument, interval, since=since, until=until)
    return find_gaps((datetime_to_ns(at) for at in times), interval)


def bars_backfill(
    instrument: Instrument,
    interval: str,
    market_data: MarketData,
    *,
    start_ms: int | None = None,
    count: int | None = None,
) -> BackfillResult:
    """Fetch what is missing from `start_ms` (or the last `count` bars) up to the newest closed bar.

    Before the first stored bar, in holes, and after the last. The newest bar the venue returns is never
    stored: only a newer one proves that it closed, whatever our clock says about market time.

    Raises
    ------
    ValueError : neither or both of start and count.
    VenueUnavailable, VenueRejected : as the port; what was stored before stays.
    ApplicationError : code IMPOSSIBLE_BAR.
    """
    if (start_ms is None) == (count is None):
        raise ValueError("give either start_ms or count")
    step = ns_to_ms(interval_ns(interval))
    newest = market_data.klines(instrument.symbol, interval, start_ms=None, end_ms=None, limit=2)
    requests = 1
    if not newest:
        return BackfillResult(0, requests, None, None, ())
    forming_ms = max(bar.open_time_ms for bar in newest)
    if start_ms is None:
        assert count is not None
        start_ms = forming_ms - count * step
    since = ns_to_datetime(ms_to_ns(start_ms))
    times_ms = [ns_to_ms(datetime_to_ns(at)) for at in bar_open_times(instrument, interval, since=since)]
    # Up to the forming bar, so that it comes back too and can be recognised and left out.
    ranges = _missing_ranges(
        [t for t in times_ms if t < forming_ms], -(-start_ms // step) * step, forming_ms, step
    )
    stored: list[BarRecord] = []
    for first_ms, last_ms in ranges:
        bars = market_data.klines(instrument.symbol, interval, start_ms=first_ms, end_ms=last_ms, limit=None)
        requests += 1
        known_closed = [bar for bar in bars if bar.open_time_ms < forming_ms]
        late = [bar for bar in bars if bar.open_time_ms >= forming_ms]
        stored += bars_store(instrument, interval, known_closed + closed_bars(late), Bar.Source.REST)
    latest = bar_latest_open_time(instrument, interval)
    return BackfillResult(
        stored=len(stored),
        requests=requests,
        first_open_ns=min((bar.open_time_ns for bar in stored), default=None),
        last_open_ns=datetime_to_ns(latest) if latest else None,
        gaps=tuple(bars_gaps(instrument, interval, since=since)),
    )


def bars_prune(*, keep_days: Mapping[str, int] | None = None) -> dict[str, int]:
    """Delete bars older than the days kept of their interval, counted back from the newest; returns counts.

    Counted in market time per instrument: a paused or compressed market must not lose its bars.
    """
    kept = dict(KEEP_DAYS if keep_days is None else keep_days)
    deleted: dict[str, int] = {}
    series = Bar.objects.order_by().values_list("instrument_id", "interval").distinct()
    for instrument_id, interval in list(series):
        rows = Bar.objects.filter(instrument_id=instrument_id, interval=interval)
        newest = rows.order_by("-open_time").values_list("open_time", flat=True).first()
        if newest is None:
            continue
        count, _ = rows.filter(
            open_time__lt=newest - timedelta(days=kept.get(interval, KEEP_DAYS_OTHERWISE))
        ).delete()
        if count:
            deleted[interval] = deleted.get(interval, 0) + count
    return deleted


def _missing_ranges(times_ms: list[int], first_ms: int, end_ms: int, step_ms: int) -> list[tuple[int, int]]:
    """Inclusive ranges of open times absent from `times_ms`, from `first_ms` to `end_ms`."""
    ranges: list[tuple[int, int]] = []
    expected = first_ms
    for at in times_ms:
        if at > expected:
            ranges.append((expected, at - step_ms))
        expected = at + step_ms
    # The forming bar alone is nothing to fetch.
    if expected < end_ms:
        ranges.append((expected, end_ms))
    return ranges


def _record(bar: KlineRecord) -> BarRecord:
    return BarRecord(
        open_time_ns=ms_to_ns(bar.open_time_ms),
        close_time_ns=ms_to_ns(bar.close_time_ms),
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        quote_volume=bar.quote_volume,
        trades=bar.trades,
        taker_base=bar.taker_base,
    )
