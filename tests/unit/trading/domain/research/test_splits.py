"""Splits: what is purged, how paths are made of groups, how windows follow one another."""

import numpy as np
import pytest

from trading.domain.research.splits import (
    Window,
    cpcv_counts,
    cpcv_paths,
    cpcv_splits,
    default_embargo,
    purged_train,
    walk_forward_windows,
)


def test_no_training_label_meets_a_test_label():
    # The definition, row by row: spans [i, i + horizon] and [j, j + horizon], embargo rows after the last.
    n, horizon, embargo = 40, 3, 2
    for start, stop in ((0, 5), (10, 20), (33, 40)):
        kept = set(purged_train(n, start, stop, horizon=horizon, embargo=embargo).tolist())
        last = stop - 1 + horizon
        for i in range(n):
            meets = any(not (i + horizon < j or j + horizon < i) for j in range(start, stop))
            embargoed = last < i <= last + embargo
            assert (i in kept) == (not meets and not embargoed)


def test_the_embargo_is_one_percent_or_the_longest_window():
    assert default_embargo(5000, 20) == 50
    assert default_embargo(5000, 200) == 200
    assert default_embargo(30, 0) == 1


@pytest.mark.parametrize(("start", "stop", "horizon"), [(5, 5, 0), (-1, 3, 0), (0, 11, 0), (0, 3, -1)])
def test_impossible_splits_are_refused(start, stop, horizon):
    with pytest.raises(ValueError, match="expected"):
        purged_train(10, start, stop, horizon=horizon, embargo=0)


def test_every_path_covers_all_groups_with_different_splits():
    splits = cpcv_splits(120, groups=6, test_groups=2, horizon=1, embargo=2)
    paths = cpcv_paths(6, 2)
    assert (len(splits), len(paths)) == cpcv_counts(6, 2) == (15, 5)
    used = set()
    for path in paths:
        assert [group for _, group in path] == list(range(6))
        for number, group in path:
            assert group in splits[number].test_groups
            used.add((number, group))
    assert len(used) == 30, "every test of every split is used exactly once"


def test_a_combinatorial_split_trains_on_nothing_it_tests():
    for split in cpcv_splits(100, groups=5, test_groups=2, horizon=2, embargo=3):
        for rows in split.tests:
            clean = purged_train(100, int(rows[0]), int(rows[-1]) + 1, horizon=2, embargo=3)
            assert np.isin(split.train, clean).all()


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="nothing is left"):
        cpcv_splits(20, groups=4, test_groups=3, horizon=5, embargo=5)


def test_rolling_windows_keep_their_length_and_tests_follow_one_another():
    found = walk_forward_windows(100, train=40, test=20, gap=5)
    assert found == [Window(0, 40, 45, 65), Window(20, 60, 65, 85), Window(40, 80, 85, 100)]


def test_anchored_windows_start_at_the_beginning():
    found = walk_forward_windows(100, train=40, test=30, mode="anchored")
    assert found == [Window(0, 40, 40, 70), Window(0, 70, 70, 100)]


def test_a_short_last_test_joins_the_one_before():
    assert walk_forward_windows(88, train=40, test=20)[-1] == Window(20, 60, 60, 88)


def test_too_few_rows_for_one_window_are_refused():
    with pytest.raises(ValueError, match="at least 65 rows"):
        walk_forward_windows(64, train=40, test=20, gap=5)
