"""The regimes a model knew at each point of a curve, to colour a report with."""

from __future__ import annotations

import numpy as np

from trading.domain.backtest import BarSeries, FundingSeries
from trading.domain.regime.features import feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.model import RegimeModel
from trading.domain.report.run import Regimes
from trading.domain.research.model_subject import bar_columns
from trading.domain.statistics.figures import IntArray


def known_regimes(
    model: RegimeModel, series: BarSeries, times_ns: IntArray, funding: FundingSeries | None = None
) -> Regimes:
    """Return the most probable filtered state at each time.

    Filtered, never smoothed: state at t from bars up to t. Unknown (-1) before the first reading, and where
    the last bar that closed is older than one interval.

    Raises
    ------
    FeaturesRefused : a bar the features cannot use.  DegenerateFilter : no state explains a bar.
    """
    columns = bar_columns(series, model.interval_ns, funding)
    matrix = feature_matrix(columns, model.features, machine_code=True)
    posterior, _ = filter_series(model.hmm, matrix.x, matrix.lengths, scaler=model.scaler, machine_code=True)
    states = np.argmax(posterior, axis=1)
    at = np.searchsorted(matrix.close_ns, times_ns, side="right") - 1
    fresh = (at >= 0) & (times_ns - matrix.close_ns[np.maximum(at, 0)] < model.interval_ns)
    known = np.where(fresh, states[np.maximum(at, 0)], -1).astype(np.int64)
    return Regimes(known, dict(enumerate(model.labels)))
