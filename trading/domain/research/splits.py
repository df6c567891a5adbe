"""Splitting time without leaking: purged and embargoed training sets, CPCV, walk-forward windows.

A label at row i spans rows i to i + horizon. A training row whose span meets the test rows, or that lies
within the embargo after the last test label's span, has seen the test and is dropped.
Source: Lopez de Prado (2018), Advances in Financial Machine Learning, chapters 7 and 12.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from trading.domain.statistics.figures import IntArray


def purged_train(n: int, test_start: int, test_stop: int, *, horizon: int, embargo: int) -> IntArray:
    """Return the training rows that know nothing of the test rows [test_start, test_stop).

    Kept before the test: rows i with i + horizon < test_start. Kept after: rows from
    test_stop + horizon + embargo on, because the last test label spans to test_stop - 1 + horizon.

    Raises
    ------
    ValueError : not 0 <= test_start < test_stop <= n, or a negative horizon or embargo.
    """
    if not 0 <= test_start < test_stop <= n:
        raise ValueError(f"expected 0 <= start < stop <= {n}, were {test_start} and {test_stop}")
    if horizon < 0 or embargo < 0:
        raise ValueError(f"expected a horizon and embargo of zero or more, were {horizon} and {embargo}")
    before = np.arange(max(0, test_start - horizon), dtype=np.int64)
    after = np.arange(min(n, test_stop + horizon + embargo), n, dtype=np.int64)
    return np.concatenate((before, after))


def default_embargo(n: int, longest_window: int) -> int:
    """Return 1 % of the sample or the longest feature window, whichever is larger."""
    return max(math.ceil(n / 100), longest_window)


@dataclass(frozen=True, slots=True)
class CombinatorialSplit:
    """One of the C(N, k) splits.

    Attributes
    ----------
    test_groups : numbers of the k groups tested.  train : rows.  tests : rows of each test group.
    """

    test_groups: tuple[int, ...]
    train: IntArray
    tests: tuple[IntArray, ...]


def cpcv_counts(groups: int, test_groups: int) -> tuple[int, int]:
    """Return (splits, paths): C(N, k), and k C(N, k) / N back-test paths over the whole history.

    Raises
    ------
    ValueError : not 1 <= test_groups < groups.
    """
    if not 1 <= test_groups < groups:
        raise ValueError(f"expected 1 <= test groups < groups, were {test_groups} and {groups}")
    splits = math.comb(groups, test_groups)
    return splits, splits * test_groups // groups


def cpcv_splits(
    n: int, *, groups: int, test_groups: int, horizon: int, embargo: int
) -> list[CombinatorialSplit]:
    """Return every combinatorial purged split of n rows cut into contiguous groups.

    Raises
    ------
    ValueError : as `cpcv_counts`, fewer rows than groups, or a split whose training set is purged away.
    """
    cpcv_counts(groups, test_groups)
    if n < groups:
        raise ValueError(f"expected at least {groups} rows, were {n}")
    edges = _edges(n, groups)
    splits = []
    for chosen in combinations(range(groups), test_groups):
        keep = np.ones(n, dtype=bool)
        for group in chosen:
            allowed = np.zeros(n, dtype=bool)
            train = purged_train(n, edges[group], edges[group + 1], horizon=horizon, embargo=embargo)
            allowed[train] = True
            keep &= allowed
        rows = np.flatnonzero(keep)
        if not len(rows):
            raise ValueError(f"nothing is left to train on when testing groups {chosen}")
        tests = tuple(np.arange(edges[g], edges[g + 1], dtype=np.int64) for g in chosen)
        splits.append(CombinatorialSplit(chosen, rows, tests))
    return splits


def cpcv_paths(groups: int, test_groups: int) -> list[tuple[tuple[int, int], ...]]:
    """Return the paths: each is, per group, (split number, group), so that every test is used exactly once.

    Path p takes for each group the p-th split (in the order of `cpcv_splits`) that tests the group.
    """
    _, paths = cpcv_counts(groups, test_groups)
    tested_in: list[list[int]] = [[] for _ in range(groups)]
    for number, chosen in enumerate(combinations(range(groups), test_groups)):
        for group in chosen:
            tested_in[group].append(number)
    return [tuple((tested_in[group][path], group) for group in range(groups)) for path in range(paths)]


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a walk-forward: train on [train_start, train_stop), judge on [test_start, test_stop)."""

    train_start: int
    train_stop: int
    test_start: int
    test_stop: int


def walk_forward_windows(
    n: int,
    *,
    train: int,
    test: int,
    gap: int = 0,
    mode: Literal["rolling", "anchored"] = "rolling",
) -> list[Window]:
    """Return consecutive windows whose tests follow one another without hole or overlap.

    Parameters
    ----------
    train : rows to train on (in anchored mode: at first).  test : rows per test; the last may be shorter,
        but not below half, otherwise it joins the one before.
    gap : rows between training and test, the purge (label horizon) plus the embargo.
    mode : rolling keeps the training length, anchored always starts at row 0.

    Raises
    ------
    ValueError : sizes that are not positive, or too few rows for one window with a full test.
    """
    if train < 1 or test < 1 or gap < 0:
        raise ValueError(
            f"expected train and test of at least 1 and a gap of 0 or more: {train}, {test}, {gap}"
        )
    if n < train + gap + test:
        raise ValueError(f"expected at least {train + gap + test} rows for one window, were {n}")
    windows: list[Window] = []
    start = train + gap
    while start < n:
        stop = min(n, start + test)
        if n - stop < test / 2:
            stop = n
        train_stop = start - gap
        train_start = 0 if mode == "anchored" else train_stop - train
        windows.append(Window(train_start, train_stop, start, stop))
        start = stop
    return windows


def _edges(n: int, groups: int) -> list[int]:
    return [round(n * group / groups) for group in range(groups + 1)]
