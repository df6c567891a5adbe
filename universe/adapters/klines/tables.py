"""Checked bars as an Arrow table: exact decimals, ascending, one row per open time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trading.domain.clock import bar_open_ns, datetime_to_ns, interval_ns, ms_to_ns, ns_to_ms
from trading.domain.ports import KlineRecord
from universe.adapters.klines.rows import OPTIONAL, REQUIRED, KlineFileRefused, KlineRows, Problem
from universe.domain.bars import Gap

MONEY: Final = pa.decimal128(28, 10)
_PRICES: Final = ("open", "high", "low", "close")
SCHEMA: Final = pa.schema(
    [
        pa.field("open_time", pa.timestamp("ms", "UTC"), nullable=False),
        *(pa.field(name, MONEY, nullable=False) for name in (*_PRICES, "volume")),
        # Files without these columns leave them null: an unknown trade count is not zero.
        pa.field("quote_volume", MONEY),
        pa.field("trades", pa.int64()),
        pa.field("taker_base", MONEY),
        pa.field("taker_quote", MONEY),
    ]
)
_SHOWN: Final = 10
_EARLIEST_MS: Final = 1_230_768_000_000  # 2009-01-01: no exchange has older bars, so it is a wrong unit
_LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableReport:
    """A checked table, and the lines of identical duplicates that were dropped."""

    table: pa.Table
    duplicate_lines: tuple[int, ...]


def check_rows(rows: KlineRows, interval: str) -> TableReport:
    """Turn text into a table, or refuse the whole file with line numbers.

    Raises
    ------
    KlineFileRefused : a number that is none, NaN, negative, or longer than 18 + 10 digits; an impossible
        bar; a time off the grid, out of order, or twice with different content; another interval's bars.
    ValueError : unknown interval.
    """
    step_ms = ns_to_ms(interval_ns(interval))
    times = _times_ms(rows)
    columns: dict[str, pa.Array] = {}
    for name in (*REQUIRED[1:], *OPTIONAL):
        if name in rows.columns:
            columns[name] = _numbers(rows, name)
    _refuse_where(rows, _off_grid(times, interval), lambda at: f"open time is not on the grid of {interval}")
    _check_possible(rows, columns)
    keep = _check_order(rows, times, columns)
    _check_spacing(rows, times[keep], step_ms, interval)
    table = _table(times, columns, len(rows))
    dropped = tuple(int(rows.lines[int(at)]) for at in np.flatnonzero(~keep))
    return TableReport(table.filter(pa.array(keep)) if dropped else table, dropped)


def table_of_records(records: Sequence[KlineRecord]) -> pa.Table:
    """Return the table of checked records in ascending open time."""
    columns = {
        name: pa.array([getattr(r, name) for r in records], type=SCHEMA.field(name).type)
        for name in (*REQUIRED[1:], *OPTIONAL)
    }
    times = np.array([r.open_time_ms for r in records], dtype=np.int64)
    return _table(times, columns, len(records))


def merge_tables(name: str, stored: pa.Table | None, new: pa.Table) -> pa.Table:
    """Return the union of two tables; of one bar in both, the one that knows more columns stays.

    Raises
    ------
    KlineFileRefused : the two disagree about a bar's prices or volume; rows are counted in `new`.
    """
    if stored is None or stored.num_rows == 0:
        return new
    both = pa.concat_tables([stored, new])
    order = pc.sort_indices(both, sort_keys=[("open_time", "ascending")])  # stable: stored before new
    merged = both.take(order)
    times = open_times_ms(merged)
    repeats = np.concatenate(([False], times[1:] == times[:-1])) if len(times) else np.zeros(0, bool)
    if not repeats.any():
        return merged
    firsts = np.concatenate((repeats[1:], [False]))
    older, newer = merged.filter(pa.array(firsts)), merged.filter(pa.array(repeats))
    differs = np.zeros(older.num_rows, bool)
    for column in (*_PRICES, "volume"):
        differs |= _flags(pc.not_equal(older.column(column), newer.column(column)))
    if differs.any():
        at = [int(i) for i in np.flatnonzero(differs)]
        lines = np.searchsorted(open_times_ms(new), open_times_ms(newer)[at]) + 1
        raise KlineFileRefused(
            name,
            [
                Problem(int(line), f"differs from the stored bar of {_iso(int(open_times_ms(newer)[i]))}")
                for line, i in islice(zip(lines, at, strict=True), _SHOWN)
            ],
            more=max(0, len(at) - _SHOWN),
        )
    knows_more = _flags(pc.is_null(older.column("quote_volume"))) & _flags(
        pc.is_valid(newer.column("quote_volume"))
    )
    drop = np.zeros(len(times), bool)
    first_at, repeat_at = np.flatnonzero(firsts), np.flatnonzero(repeats)
    drop[first_at[knows_more]] = True
    drop[repeat_at[~knows_more]] = True
    return merged.filter(pa.array(~drop))


def open_times_ms(table: pa.Table) -> IntArray:
    """(rows,) open times in ms since the epoch."""
    return np.asarray(table.column("open_time").cast(pa.int64()).to_numpy(), dtype=np.int64)


def gaps_of(table: pa.Table, interval: str) -> list[Gap]:
    """Return the holes of an ascending table."""
    times = open_times_ms(table)
    length = interval_ns(interval)
    step_ms = ns_to_ms(length)
    jumps = np.flatnonzero(np.diff(times) != step_ms)
    gaps = []
    for at in jumps:
        before, after = ms_to_ns(int(times[at])), ms_to_ns(int(times[at + 1]))
        gaps.append(Gap(before + length, after - length, (after - before) // length - 1))
    return gaps


def _table(times_ms: IntArray, columns: dict[str, pa.Array], rows: int) -> pa.Table:
    arrays: list[Any] = [pa.array(times_ms).cast(pa.timestamp("ms")).cast(pa.timestamp("ms", "UTC"))]
    for field in list(SCHEMA)[1:]:
        arrays.append(columns.get(field.name, pa.nulls(rows, field.type)))
    return pa.table(arrays, schema=SCHEMA)


def _times_ms(rows: KlineRows) -> IntArray:
    texts = rows.columns["open_time"]
    values = np.empty(len(texts), dtype=np.int64)
    problems: list[Problem] = []
    for at, text in enumerate(texts):
        try:
            values[at] = _time_ms(text.strip())
        except ValueError as error:
            problems.append(Problem(int(rows.lines[at]), str(error)))
    _refuse(rows, problems)
    return values


def _time_ms(text: str) -> int:
    if text.isascii() and text.removesuffix(".0").isdigit():
        number = int(text.removesuffix(".0"))
        # s, ms and us of this century differ by their length.
        if number < 100_000_000_000:
            ms = number * 1000
        elif number < 100_000_000_000_000:
            ms = number
        else:
            ms, rest = divmod(number, 1000)
            if rest:
                raise ValueError(f"open time {text} is not a whole millisecond")
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"expected a time in ms or us, or YYYY-MM-DD HH:MM:SS, was {text!r}") from None
        ms = ns_to_ms(datetime_to_ns(at if at.tzinfo else at.replace(tzinfo=UTC)))
    if not _EARLIEST_MS <= ms < _LATEST_MS:
        raise ValueError(f"time {text} is not between 2009 and 2100")
    return ms


def _numbers(rows: KlineRows, name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    texts = rows.columns[name]
    optional = SCHEMA.field(name).nullable
    source = [text if text or not optional else None for text in texts]
    try:
        decimals = pa.array(source, pa.string()).cast(MONEY)
        return decimals.cast(kind) if kind != MONEY else decimals
    except pa.ArrowInvalid:
        problems = (
            Problem(int(line), problem)
            for text, line in zip(source, rows.lines, strict=True)
            if (problem := _number_problem(name, text, kind))
        )
        _refuse(rows, list(problems))
        raise


def _number_problem(name: str, text: str | None, kind: pa.DataType) -> str | None:
    if text is None:
        return None
    try:
        pa.array([text], pa.string()).cast(MONEY).cast(kind)
    except pa.ArrowInvalid as error:
        reason = " (more digits than can be kept exactly)" if "Rescaling" in str(error) else ""
        return f"{name} is not a usable number: {text!r}{reason}"
    return None


def _check_possible(rows: KlineRows, columns: dict[str, pa.Array]) -> None:
    zero = pa.scalar(Decimal(0), MONEY)
    for name in _PRICES:
        _refuse_where(
            rows,
            _flags(pc.less_equal(columns[name], zero)),
            lambda at, name=name: f"{name} must be above zero, was {columns[name][at]}",  # type: ignore[misc]
        )
    for name in ("volume", *OPTIONAL):
        if name in columns:
            floor = zero if columns[name].type == MONEY else pa.scalar(0)
            _refuse_where(
                rows,
                _flags(pc.less(columns[name], floor)),
                lambda at, name=name: f"{name} is negative: {columns[name][at]}",  # type: ignore[misc]
            )
    for name in ("open", "close", "high"):
        _refuse_where(
            rows,
            _flags(pc.less(columns[name], columns["low"])),
            lambda at, name=name: f"{name} {columns[name][at]} is below low {columns['low'][at]}",  # type: ignore[misc]
        )
    for name in ("open", "close"):
        _refuse_where(
            rows,
            _flags(pc.greater(columns[name], columns["high"])),
            lambda at, name=name: f"{name} {columns[name][at]} is above high {columns['high'][at]}",  # type: ignore[misc]
        )
    if "taker_base" in columns:
        _refuse_where(
            rows,
            _flags(pc.greater(columns["taker_base"], columns["volume"])),
            lambda at: f"taker volume {columns['taker_base'][at]} is above volume {columns['volume'][at]}",
        )


def _check_order(rows: KlineRows, times: IntArray, columns: dict[str, pa.Array]) -> BoolArray:
    """Return which rows to keep: all but identical repeats of the row before."""
    steps = np.diff(times)
    back = np.concatenate(([False], steps < 0))
    _refuse_where(rows, back, lambda at: f"{_iso(int(times[at]))} comes after {_iso(int(times[at - 1]))}")
    repeats = np.concatenate(([False], steps == 0))
    conflicts = np.zeros(len(times), bool)
    for at in np.flatnonzero(repeats):
        i = int(at)
        conflicts[i] = any(column[i] != column[i - 1] for column in columns.values())
    _refuse_where(rows, conflicts, lambda at: f"a second, different bar of {_iso(int(times[at]))}")
    return ~repeats


def _check_spacing(rows: KlineRows, times: IntArray, step_ms: int, interval: str) -> None:
    if len(times) < 3:
        return
    spacing = np.diff(times)
    if int(spacing.min()) != step_ms:
        _refuse(
            rows,
            [Problem(int(rows.lines[0]), f"bars are {int(spacing.min()) // 1000} s apart, not {interval}")],
        )


def _off_grid(times: IntArray, interval: str) -> BoolArray:
    offset_ms = ns_to_ms(bar_open_ns(ms_to_ns(604_800_000 * 2), interval)) % ns_to_ms(interval_ns(interval))
    return np.asarray((times - offset_ms) % ns_to_ms(interval_ns(interval)) != 0)


def _flags(condition: Any) -> BoolArray:
    filled = pc.fill_null(condition, False)
    return np.asarray(
        filled.to_numpy(zero_copy_only=False) if isinstance(filled, pa.Array) else filled.to_numpy()
    )


def _refuse_where(rows: KlineRows, wrong: BoolArray, say: Callable[[int], str]) -> None:
    if wrong.any():
        at = np.flatnonzero(wrong)
        found: Iterator[Problem] = (Problem(int(rows.lines[int(i)]), say(int(i))) for i in at[:_SHOWN])
        raise KlineFileRefused(rows.name, list(found), more=max(0, len(at) - _SHOWN))


def _refuse(rows: KlineRows, problems: list[Problem]) -> None:
    if problems:
        raise KlineFileRefused(rows.name, problems[:_SHOWN], more=max(0, len(problems) - _SHOWN))


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
