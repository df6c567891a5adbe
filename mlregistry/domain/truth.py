"""How often a filter names the regime a market was truly in, where the market's maker tells which that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from trading.domain.clock import NS_PER_MS
from trading.domain.regime.arrays import FloatArray, IntArray

UNKNOWN: Final = -1
MINUTE_MS: Final = 60_000
LEARNED: Final = 1 / 3
"""Share of the rows, the oldest, from which regimes are matched to states; the others are measured."""
FEWEST: Final = 150


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the measured rows say.

    Attributes
    ----------
    rows : measured, all later than those the matching was learned from.
    matched : the state each true regime goes by; several regimes may share one.
    accuracy : share of the rows whose likeliest state is that of the true regime.
    always : what naming the commonest of these states all the time would get.
    recall : share named rightly, by true regime.  probability : mean filtered probability of the right state.
    confusion : by true regime, how many rows each state was named in.
    """

    rows: int
    matched: dict[str, str]
    accuracy: float
    always: float
    recall: dict[str, float]
    probability: float
    confusion: dict[str, dict[str, int]]

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return asdict(self)


def true_regimes(close_ns: IntArray, told: Sequence[tuple[int, int]]) -> IntArray:
    """Return the regime of each bar's last minute, (N,); -1 where it was not told.

    Parameters
    ----------
    close_ns : (N,), when bars closed, a millisecond before the next one opens.
    told : (open time in ms, regime) of one-minute bars.
    """
    by_minute = dict(told)
    minutes = np.asarray(close_ns, dtype=np.int64) // NS_PER_MS // MINUTE_MS * MINUTE_MS
    return np.array([by_minute.get(at, UNKNOWN) for at in minutes.tolist()], dtype=np.int64)


def agreement(
    filtered: FloatArray, truth: IntArray, *, regimes: Sequence[str], labels: Sequence[str]
) -> Agreement:
    """Measure filtered probabilities, (N, K), against true regimes, (N,), both in order of time.

    A model may have fewer states than the market regimes, or name them otherwise: in the oldest third of the rows each
    regime is matched to the state most often named in it, and the other rows are measured. A regime not seen there goes
    by the state of the nearest one in their order.

    Raises
    ------
    ValueError : fewer than 150 rows with a known regime, or shapes that do not fit.
    """
    if filtered.shape != (len(truth), len(labels)):
        raise ValueError(f"expected ({len(truth)}, {len(labels)}) probabilities, were {filtered.shape}")
    known = np.flatnonzero(truth != UNKNOWN)
    if len(known) < FEWEST:
        raise ValueError(f"expected {FEWEST} rows with a known regime or more, were {len(known)}")
    states, true = filtered[known], truth[known]
    named = states.argmax(axis=1)
    cut = int(len(known) * LEARNED)
    matched = _matched(named[:cut], true[:cut], len(regimes), len(labels))
    named, true, states = named[cut:], true[cut:], states[cut:]
    right = matched[true]
    hits = named == right
    seen = [regime for regime in range(len(regimes)) if (true == regime).any()]
    return Agreement(
        rows=len(true),
        matched={regimes[regime]: labels[matched[regime]] for regime in range(len(regimes))},
        accuracy=float(hits.mean()),
        always=float(np.bincount(right, minlength=len(labels)).max() / len(right)),
        recall={regimes[regime]: float(hits[true == regime].mean()) for regime in seen},
        probability=float(states[np.arange(len(right)), right].mean()),
        confusion={
            regimes[regime]: {
                label: int(((true == regime) & (named == state)).sum()) for state, label in enumerate(labels)
            }
            for regime in seen
        },
    )


def _matched(named: IntArray, true: IntArray, regimes: int, states: int) -> IntArray:
    counts = np.zeros((regimes, states), dtype=np.int64)
    np.add.at(counts, (true, named), 1)
    matched: IntArray = counts.argmax(axis=1).astype(np.int64)
    seen = np.flatnonzero(counts.sum(axis=1))
    for regime in range(regimes):
        if regime not in seen:
            matched[regime] = matched[seen[np.abs(seen - regime).argmin()]]
    return matched
