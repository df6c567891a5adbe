"""The ensemble's calibration from history: Platt maps and pool weights, fitted walk-forward."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trading.domain.regime.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class PoolCalibration:
    """The parameters of `ma_hmm_ensemble` that are fitted, under the names they have there."""

    ma_slope: float
    ma_offset: float
    ma_weight: float
    hmm_slope: float
    hmm_offset: float
    hmm_weight: float
    bias: float

    def values(self) -> dict[str, float]:
        """Return them as parameter values."""
        return asdict(self)


def calibrate_pool(
    scores: FloatArray, outcomes: FloatArray, *, folds: int = 5, shrinkage: float = 0.1
) -> PoolCalibration:
    """Fit the maps of both members and the weights of their pool.

    The rows are cut into `folds` + 1 blocks. Each block but the first is mapped by what the rows before it taught, and
    the weights are fitted to these out-of-fold probabilities; the maps themselves are then fitted to all rows. The
    last row before a block is left out: its outcome lies in the block.

    Parameters
    ----------
    scores : (T, 2), gap of the averages and log-odds of the regimes, known at the close of bar t; of a regime model
        that was trained on earlier bars.
    outcomes : (T,), 1 where the bar after t rose, else 0.  shrinkage : towards equal weights.

    Raises
    ------
    FitRefused : fewer than 20 rows in a fit, an outcome that never or always happens, or scores that do not vary.
    ValueError : fewer than one fold, or columns of different lengths.
    """
    import numpy as np

    from trading.domain.regime.calibration import fit_platt, fit_pool_weights

    rows = len(outcomes)
    if folds < 1 or scores.shape != (rows, 2):
        raise ValueError(f"expected folds and ({rows}, 2) scores, were {folds} and {scores.shape}")
    edges = [rows * block // (folds + 1) for block in range(folds + 2)]
    mapped = np.empty((rows - edges[1], 2))
    for start, stop in pairwise(edges[1:]):
        for member in range(2):
            platt = fit_platt(scores[: start - 1, member], outcomes[: start - 1])
            mapped[start - edges[1] : stop - edges[1], member] = platt.apply(scores[start:stop, member])
    weights, bias = fit_pool_weights(mapped, outcomes[edges[1] :], shrinkage=shrinkage)
    ma, hmm = (fit_platt(scores[:, member], outcomes) for member in range(2))
    return PoolCalibration(
        ma.slope, ma.offset, float(weights[0]), hmm.slope, hmm.offset, float(weights[1]), bias
    )
