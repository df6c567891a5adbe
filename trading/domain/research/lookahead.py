"""Does anything know the future? Cut the data off, or change it after a bar, and see what moves before it.

A subject is any function from a table of bars to columns with one value per bar: features, filtered
probabilities, signals, orders, weights. What it said at bar t on the bars up to t must be what it says at t
when all bars are there. This works on values and not on source code, so it finds a centred window, a
scaler fitted on everything and a smoother alike, and it has no opinion on causal code, however odd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
Table = Mapping[str, Column]
Subject = Callable[[Table], Mapping[str, Column]]
Progress = Callable[[int, int], None]

TOLERANCE: Final = 1e-9
PRICES: Final = frozenset({"open", "high", "low", "close", "bid", "ask", "mark"})


class LookaheadError(ValueError):
    """The subject cannot be tested: it answers with other rows than it was given, or with other columns."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One column that depends on later bars.

    Attributes
    ----------
    column : of the subject.  bar : the first row found that knows later rows.
    cut : number of rows that were shown or left unchanged when it differed.
    found_by : "repetition", "truncation" or "perturbation".
    with_future, without_future : the two values at that bar, as text.
    reach : how many later bars the value at that bar needs; None for a subject that contradicts itself.
    inputs : input columns whose later values change it; empty where only the number of rows does.
    hint : what such a reach usually is, and what to do.
    """

    column: str
    bar: int
    cut: int
    found_by: str
    with_future: str
    without_future: str
    reach: int | None
    inputs: tuple[str, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class LookaheadReport:
    """Attributes
    ----------
    rows : of the table.  columns : names tested.  cuts : where the data was cut off and changed.
    leaks : one per offending column, in the order of the columns; empty when none was found.
    """

    rows: int
    columns: tuple[str, ...]
    cuts: tuple[int, ...]
    leaks: tuple[Leak, ...]

    @property
    def passed(self) -> bool:
        """No column changed."""
        return not self.leaks


def find_lookahead(
    subject: Subject,
    table: Table,
    *,
    rng: np.random.Generator,
    cuts: int = 40,
    first: int = 1,
    tolerance: float = TOLERANCE,
    progress: Progress | None = None,
) -> LookaheadReport:
    """Compare what a subject says with and without the future.

    Half of the cuts lie evenly between `first` and the end, half directly after bars at which a column
    of whole numbers or truth values changes: a leak of one bar in a rare signal shows nowhere else.

    Parameters
    ----------
    subject : table of n rows -> columns of n rows; called about 2 x cuts + 2 times.
    table : columns of equal length (T,) or (T, k).  cuts : how many.  first : earliest cut, at least 1.
    tolerance : floats may differ by that much relative to max(1, |value|); everything else not at all.

    Raises
    ------
    LookaheadError : fewer than 8 rows, or answers of another shape.
    """
    rows = _rows(table)
    if rows < 8:
        raise LookaheadError(f"expected at least 8 rows to cut, were {rows}")
    whole = _answer(subject, table, rows)
    again = _answer(subject, table, rows)
    _same_columns(whole, again)
    found: dict[str, Leak] = {}
    for name, column in whole.items():
        bar = _first_difference(column, again[name], tolerance)
        if bar is not None:
            found[name] = _leak(name, bar, rows, "repetition", column, again[name], None, (), _UNSTEADY)
    places = _places(whole, rows, cuts, max(1, first), rng)
    for number, cut in enumerate(places):
        for found_by, changed in (
            ("truncation", _head(table, cut)),
            ("perturbation", _perturbed(table, cut, rng)),
        ):
            told = _answer(subject, changed, _rows(changed))
            _same_columns(whole, told)
            for name, column in whole.items():
                if name in found:
                    continue
                bar = _first_difference(column[:cut], told[name][:cut], tolerance)
                if bar is not None:
                    reach = _reach(subject, table, name, bar, column, rows, tolerance)
                    inputs = _inputs(subject, table, name, bar, column, tolerance, rng)
                    hint = _hint(reach, rows - bar - 1, bool(inputs))
                    found[name] = _leak(name, bar, cut, found_by, column, told[name], reach, inputs, hint)
        if progress is not None:
            progress(number + 1, len(places))
    leaks = tuple(found[name] for name in whole if name in found)
    return LookaheadReport(rows, tuple(whole), tuple(places), leaks)


_UNSTEADY: Final = (
    "it says something else when asked twice: it keeps state outside its arguments, draws random numbers "
    "without a seed, or reads a clock; nothing else about it can be judged until that is mended"
)


def _hint(reach: int | None, later: int, by_value: bool) -> str:
    if not by_value:
        return (
            "it depends on how many bars there are: positions counted from the end, or a share of the length"
        )
    if reach is None or reach > max(2, later // 2):
        return (
            "it needs most of the sample: a mean, scaler, quantile, smoother or decoded path of all rows; "
            "fit on rows up to the bar, or on a training window, and apply forward"
        )
    if reach == 1:
        return (
            "it needs the next bar: a shift(-1), a label used as a feature, or a fill counted one bar early"
        )
    return (
        f"it needs the {reach} bars after it: a centred window of {2 * reach + 1}, a label over {reach} bars, "
        "back-filling, or a slower bar joined before it closed; end every window at the bar"
    )


def _reach(
    subject: Subject, table: Table, name: str, bar: int, full: Column, rows: int, tolerance: float
) -> int | None:
    """Smallest number of later bars with which the value at `bar` is that of the whole table."""
    later = rows - bar - 1

    def settled(extra: int) -> bool:
        shown = bar + 1 + extra
        told = _answer(subject, _head(table, shown), shown)
        return _first_difference(full[bar : bar + 1], told[name][bar : bar + 1], tolerance) is None

    # Doubling first: most leaks reach a few bars, and each question costs a run of the subject.
    low, high = 0, 1
    while high < later and not settled(high):
        low, high = high, high * 2
    high = min(high, later)
    while high - low > 1:
        middle = (low + high) // 2
        if settled(middle):
            high = middle
        else:
            low = middle
    return high if later else None


def _inputs(
    subject: Subject,
    table: Table,
    name: str,
    bar: int,
    full: Column,
    tolerance: float,
    rng: np.random.Generator,
) -> tuple[str, ...]:
    guilty = []
    for source in table:
        # Three draws, because a sign or a threshold may happen to survive one of them.
        for _ in range(3):
            told = _answer(subject, _perturbed(table, bar + 1, rng, only=source), len(full))
            if _first_difference(full[bar : bar + 1], told[name][bar : bar + 1], tolerance) is not None:
                guilty.append(source)
                break
    return tuple(guilty)


def _places(
    whole: Mapping[str, Column], rows: int, cuts: int, first: int, rng: np.random.Generator
) -> list[int]:
    even = np.linspace(min(first, rows - 1), rows - 1, num=max(2, cuts // 2)).round().astype(int).tolist()
    changed = np.zeros(rows, dtype=bool)
    for column in whole.values():
        if column.dtype.kind in "biuUSO" or _few_values(column):
            changed[1:] |= _rows_differ(column)
    events = np.flatnonzero(changed) + 1  # rows up to and including the change are shown
    events = events[(events >= first) & (events < rows)]
    wanted = max(0, cuts - len(even))
    if len(events) > wanted:
        events = rng.choice(events, size=wanted, replace=False)
    return sorted({*even, *events.tolist()})


def _few_values(column: Column) -> bool:
    """A float column of levels (a target of -1, 0, 1) is a signal as much as one of integers."""
    return column.ndim == 1 and column.dtype.kind == "f" and len(np.unique(column)) <= 16


def _rows_differ(column: Column) -> NDArray[np.bool_]:
    differ = column[1:] != column[:-1]
    return np.asarray(differ.reshape(len(differ), -1).any(axis=1), dtype=np.bool_)


def _perturbed(table: Table, cut: int, rng: np.random.Generator, only: str | None = None) -> Table:
    """The table with rows from `cut` on replaced by other plausible numbers; time columns stay."""
    changed: dict[str, Column] = {}
    later = _rows(table) - cut
    # One factor per row for all prices keeps low <= open, close <= high.
    drift = np.exp(np.cumsum(rng.normal(0.0, 0.03, later)) + rng.choice([-0.2, 0.2]))
    for name, column in table.items():
        fresh = np.array(column)
        if name.endswith("_ns") or column.dtype.kind not in "fiu" or (only is not None and name != only):
            changed[name] = fresh
            continue
        factor = drift if name in PRICES else rng.lognormal(0.0, 1.0, later)
        shape = (later,) + (1,) * (column.ndim - 1)
        moved = fresh[cut:] * factor.reshape(shape)
        fresh[cut:] = moved if column.dtype.kind == "f" else np.rint(moved).astype(column.dtype)
        changed[name] = fresh
    return changed


def _head(table: Table, rows: int) -> Table:
    # Copies, so that a subject which writes into its input cannot carry the future over.
    return {name: np.array(column[:rows]) for name, column in table.items()}


def _rows(table: Table) -> int:
    sizes = {len(column) for column in table.values()}
    if len(sizes) != 1:
        raise LookaheadError(f"expected columns of one length, were {sorted(sizes)}")
    return sizes.pop()


def _answer(subject: Subject, table: Table, rows: int) -> dict[str, Column]:
    told = {name: np.asarray(column) for name, column in subject(_head(table, rows)).items()}
    for name, column in told.items():
        if len(column) != rows:
            raise LookaheadError(f"{name}: expected {rows} values for {rows} bars, were {len(column)}")
    if not told:
        raise LookaheadError("the subject has no columns")
    return told


def _same_columns(first: Mapping[str, Column], second: Mapping[str, Column]) -> None:
    if first.keys() != second.keys():
        other = ", ".join(sorted(first.keys() ^ second.keys()))
        raise LookaheadError(f"the columns change with the number of bars: {other}")


def _first_difference(first: Column, second: Column, tolerance: float) -> int | None:
    if first.dtype.kind in "fc" and second.dtype.kind in "fciub":
        scale = np.maximum(1.0, np.abs(np.where(np.isfinite(first), first, 0.0)))
        with np.errstate(invalid="ignore"):
            near = np.abs(first - second) <= tolerance * scale
        # Equal infinities differ by NaN, and warm-up rows may hold NaN on both sides.
        same = near | (first == second) | (np.isnan(first) & np.isnan(second.astype(first.dtype)))
    else:
        same = first == second
    different = ~np.asarray(same).reshape(len(first), -1).all(axis=1)
    return int(np.argmax(different)) if different.any() else None


def _leak(
    name: str,
    bar: int,
    cut: int,
    found_by: str,
    full: Column,
    told: Column,
    reach: int | None,
    inputs: tuple[str, ...],
    hint: str,
) -> Leak:
    return Leak(name, bar, cut, found_by, str(full[bar]), str(told[bar]), reach, inputs, hint)
