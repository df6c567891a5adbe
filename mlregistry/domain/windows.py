"""The tests of a walk-forward over a model family, and which numbers may speak in each."""

from __future__ import annotations

from collections.abc import Sequence

from mlregistry.domain.serving import model_in_force
from trading.domain.research.splits import Window, default_embargo, walk_forward_windows

FEWEST_TEST_BARS = 50


def judged_windows(bars: int, *, train: int, folds: int, warmup: int) -> tuple[tuple[Window, ...], int]:
    """Return the windows, anchored, and the gap of bars between training and test: one label and the embargo.

    Parameters
    ----------
    train : bars of the first training part.  folds : about how many tests.  warmup : of the features, bars.

    Raises
    ------
    ValueError : too few bars for tests of at least 50 bars each.
    """
    if folds < 1:
        raise ValueError(f"expected at least one fold, was {folds}")
    gap = 1 + default_embargo(train, warmup)
    test = (bars - train - gap) // folds
    if test < FEWEST_TEST_BARS:
        raise ValueError(
            f"{bars} bars leave {max(0, test)} for each of {folds} tests after {train} of training and a gap of "
            f"{gap}; expected at least {FEWEST_TEST_BARS}"
        )
    return tuple(walk_forward_windows(bars, train=train, test=test, gap=gap, mode="anchored")), gap


def knows_nothing_of(window: Window, close_ns: Sequence[int], train_end_ns: int, gap: int) -> bool:
    """Tell whether a model trained to `train_end_ns` may be judged in a window: its own numbers, no refit.

    Parameters
    ----------
    close_ns : of every bar.  gap : bars that have to lie between the end of training and the first decision.
    """
    step = int(close_ns[1]) - int(close_ns[0])
    return model_in_force([train_end_ns], int(close_ns[window.test_start]), gap * step) is not None
