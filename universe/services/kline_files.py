"""Filling the Parquet store: imports, downloads, checks, and the catalogue row of each file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import structlog
from django.conf import settings

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import datetime_to_ns, interval_ns, ms_to_ns, ns_to_datetime, ns_to_ms
from trading.domain.errors import VenueUnavailable
from trading.domain.ports import KlineRecord, MarketData
from universe.adapters.klines import (
    KlineFileRefused,
    KlineStore,
    check_rows,
    gaps_of,
    merge_tables,
    read_rows,
    table_of_records,
)
from universe.adapters.klines.tables import open_times_ms
from universe.domain.bars import Gap, ImpossibleBar, check_bar
from universe.models import KlineFile

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
"""(done, of how many)."""

_PAGE = 1000
_LONGEST_WAIT_S = 120.0
_GAPS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class FileReport:
    """One input file that was read and found good."""

    name: str
    rows: int
    duplicate_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `stored` is None when nothing was written, because every file was refused."""

    accepted: tuple[FileReport, ...]
    refused: tuple[KlineFileRefused, ...]
    stored: KlineFile | None
    new_rows: int = 0


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One file against its catalogue row; `problems` is empty when they agree."""

    file: KlineFile
    gaps: tuple[Gap, ...] = ()
    problems: tuple[str, ...] = field(default=())


def kline_store() -> KlineStore:
    """The store under `NAUTILUS_HOME`."""
    return KlineStore(Path(settings.NAUTILUS_HOME) / "market_data")


def klines_import(
    paths: Sequence[Path],
    *,
    symbol: str,
    interval: str,
    market: str = "spot",
    progress: Progress | None = None,
) -> ImportReport:
    """Check files, merge the good ones into the store in one write, and catalogue the result.

    A refused file leaves the others alone; a file that contradicts what is stored, or an earlier file,
    is refused too. Importing the same file again changes nothing.

    Raises
    ------
    ValueError : unknown interval or market.
    OSError : a file cannot be read, or the store not written.
    """
    store = kline_store()
    path = store.relative_path(symbol, interval, market)
    accepted: list[FileReport] = []
    refused: list[KlineFileRefused] = []
    with store.locked(path):
        merged = store.read(path)
        before = 0 if merged is None else merged.num_rows
        for number, source in enumerate(paths):
            try:
                report = check_rows(read_rows(source), interval)
                merged = merge_tables(source.name, merged, report.table)
            except KlineFileRefused as refusal:
                refused.append(refusal)
            else:
                accepted.append(FileReport(source.name, report.table.num_rows, report.duplicate_lines))
            if progress is not None:
                progress(number + 1, len(paths))
        if not accepted or merged is None:
            return ImportReport((), tuple(refused), None)
        names = ", ".join(item.name for item in accepted)
        stored = _write(store, path, merged, symbol, interval, market, f"import: {names}")
    return ImportReport(tuple(accepted), tuple(refused), stored, merged.num_rows - before)


def klines_download(
    market_data: MarketData,
    *,
    symbol: str,
    interval: str,
    start: datetime,
    end: datetime | None = None,
    market: str = "spot",
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> ImportReport:
    """Fetch closed bars from the venue into the store; what arrived before a failure is kept.

    `start` and `end` are market time, inclusive open times; without an end, up to the newest closed bar.
    Waits when the weight treasury says so, for at most two minutes at a time.

    Raises
    ------
    ApplicationError : code NO_BARS, the venue has none there; code IMPOSSIBLE_BAR.
    VenueUnavailable, VenueRejected : as the port.
    KlineFileRefused : the venue contradicts what is stored.
    """
    store = kline_store()
    path = store.relative_path(symbol, interval, market)
    step = ns_to_ms(interval_ns(interval))
    newest = _patiently(
        lambda: market_data.klines(symbol, interval, start_ms=None, end_ms=None, limit=2), sleep
    )
    if not newest:
        raise ApplicationError("NO_BARS", f"the venue has no {interval} bars of {symbol}")
    # Only a newer bar proves that one has closed; market time is not our clock.
    last_ms = max(bar.open_time_ms for bar in newest) - step
    if end is not None:
        last_ms = min(last_ms, ns_to_ms(datetime_to_ns(end)))
    position = first_ms = -(-ns_to_ms(datetime_to_ns(start)) // step) * step
    total = max(0, (last_ms - first_ms) // step + 1)
    bars: list[KlineRecord] = []
    try:
        while position <= last_ms:
            page = _patiently(_page(market_data, symbol, interval, position, last_ms), sleep)
            bars += [_checked(bar, symbol, interval) for bar in page]
            if not page:
                break
            position = page[-1].open_time_ms + step
            if progress is not None:
                progress(min(total, (position - first_ms) // step), total)
    finally:
        stored, new_rows = _store_bars(store, path, bars, symbol, interval, market)
    if stored is None:
        raise ApplicationError("NO_BARS", f"the venue has no closed {interval} bars of {symbol} in that span")
    return ImportReport((FileReport("download", len(bars), ()),), (), stored, new_rows)


def kline_file_check(row: KlineFile) -> CheckReport:
    """Compare a file with its catalogue row: presence, hash, rows, span, gaps, order."""
    store = kline_store()
    digest = store.sha256(row.path)
    if digest is None:
        return CheckReport(row, (), ("the file is missing",))
    problems: list[str] = []
    if digest != row.sha256:
        problems.append(f"its hash is {digest[:12]}, the catalogue says {row.sha256[:12]}")
    try:
        table = store.read(row.path)
    except KlineFileRefused as refusal:
        return CheckReport(row, (), (*problems, str(refusal)))
    if table is None or table.num_rows == 0:
        return CheckReport(row, (), (*problems, "the file is empty"))
    if table.num_rows != row.rows:
        problems.append(f"it holds {table.num_rows} bars, the catalogue says {row.rows}")
    times = open_times_ms(table)
    if (times[1:] <= times[:-1]).any():
        return CheckReport(row, (), (*problems, "its bars are not in ascending order"))
    first, last = (ns_to_datetime(ms_to_ns(int(times[at]))) for at in (0, -1))
    if (first, last) != (row.first_open_time, row.last_open_time):
        problems.append(f"it spans {first} to {last}, the catalogue says otherwise")
    return CheckReport(row, tuple(gaps_of(table, row.interval)), tuple(problems))


def klines_read(row: KlineFile) -> pa.Table:
    """Return the bars of a catalogued file, verified against the catalogue's hash.

    Raises
    ------
    ApplicationError : code KLINE_FILE_CHANGED; missing, or not what was catalogued.
    """
    store = kline_store()
    if store.sha256(row.path) != row.sha256:
        raise ApplicationError(
            "KLINE_FILE_CHANGED", f"{row.path} is missing or is not what was catalogued; run `klines check`"
        )
    table = store.read(row.path)
    assert table is not None
    return table


def _page(
    market_data: MarketData, symbol: str, interval: str, start_ms: int, end_ms: int
) -> Callable[[], list[KlineRecord]]:
    return lambda: market_data.klines(symbol, interval, start_ms=start_ms, end_ms=end_ms, limit=_PAGE)


def _patiently(fetch: Callable[[], list[KlineRecord]], sleep: Callable[[float], None]) -> list[KlineRecord]:
    for _ in range(3):
        try:
            return fetch()
        except VenueUnavailable as error:
            if error.retry_after_s is None or error.retry_after_s > _LONGEST_WAIT_S:
                raise
            sleep(error.retry_after_s + 0.5)
    return fetch()


def _checked(bar: KlineRecord, symbol: str, interval: str) -> KlineRecord:
    try:
        check_bar(bar, interval)
    except ImpossibleBar as error:
        raise ApplicationError(
            "IMPOSSIBLE_BAR", f"{symbol} {interval} at {bar.open_time_ms} ms: {error}"
        ) from error
    return bar


def _store_bars(
    store: KlineStore, path: str, bars: Sequence[KlineRecord], symbol: str, interval: str, market: str
) -> tuple[KlineFile | None, int]:
    if not bars:
        return None, 0
    with store.locked(path):
        before = store.read(path)
        merged = merge_tables("download", before, table_of_records(bars))
        stored = _write(store, path, merged, symbol, interval, market, "download")
    return stored, merged.num_rows - (0 if before is None else before.num_rows)


def _write(
    store: KlineStore, path: str, table: pa.Table, symbol: str, interval: str, market: str, source: str
) -> KlineFile:
    written = store.write(path, table)
    times = open_times_ms(table)
    gaps = gaps_of(table, interval)
    row, _ = KlineFile.objects.update_or_create(
        market=market,
        symbol=symbol,
        interval=interval,
        defaults={
            "path": path,
            "sha256": written.sha256,
            "rows": written.rows,
            "first_open_time": ns_to_datetime(ms_to_ns(int(times[0]))),
            "last_open_time": ns_to_datetime(ms_to_ns(int(times[-1]))),
            "gaps": [_gap_json(gap) for gap in gaps[:_GAPS_KEPT]],
            "source": source[:200],
            "created_at": wall_now(),
        },
    )
    log.info("kline_file_written", path=path, rows=written.rows, gaps=len(gaps))
    return row


def _gap_json(gap: Gap) -> dict[str, str | int]:
    return {
        "first_missing": ns_to_datetime(gap.first_missing_ns).isoformat(),
        "last_missing": ns_to_datetime(gap.last_missing_ns).isoformat(),
        "missing": gap.missing,
    }
