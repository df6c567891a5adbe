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

    A regime goes by the state of its name (`trend_up` by `trend`). A model may have fewer states than the market has
    regimes: one without such a state is matched to the state most often named in it in the oldest third of the rows,
    and where it is not seen there, to that of the nearest regime in their order. The other rows are measured.

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
    matched = _matched(named[:cut], true[:cut], regimes, labels)
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


def _matched(named: IntArray, true: IntArray, regimes: Sequence[str], labels: Sequence[str]) -> IntArray:
    counts = np.zeros((len(regimes), len(labels)), dtype=np.int64)
    np.add.at(counts, (true, named), 1)
    matched: IntArray = counts.argmax(axis=1).astype(np.int64)
    seen = np.flatnonzero(counts.sum(axis=1))
    for place, regime in enumerate(regimes):
        same = [at for at, label in enumerate(labels) if regime == label or regime.startswith(f"{label}_")]
        if same:
            matched[place] = same[0]
        elif place not in seen:
            matched[place] = matched[seen[np.abs(seen - place).argmin()]]
    return matched
