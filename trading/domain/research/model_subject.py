"""What the look-ahead test asks of a regime model: its features and filtered probabilities at each bar."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from trading.domain.backtest import BarSeries, FundingSeries
from trading.domain.regime.feature_steps import BAD_FUNDING, NO_VOLUME
from trading.domain.regime.features import BarColumns, feature_rows
from trading.domain.regime.filter import ClosedBar, RegimeFilter
from trading.domain.regime.model import RegimeModel
from trading.domain.research.lookahead import Column, Subject, Table
from trading.domain.research.subjects import series_of


def bar_columns(series: BarSeries, interval_ns: int, funding: FundingSeries | None = None) -> BarColumns:
    """Return a series as features read it; taker volume and funding that are not known anywhere are left out."""
    taker = np.minimum(series.taker_base, series.volume)
    return BarColumns(
        series.close_ns,
        interval_ns,
        high=series.price(series.high),
        low=series.price(series.low),
        close=series.price(series.close),
        volume=series.volume,
        taker_base=taker if taker.any() else taker[:0],
        funding=np.empty(0)
        if funding is None or not len(funding.times_ns)
        else funding.in_force(series.close_ns),
    )


def regime_subject(
    model: RegimeModel, digest: str, like: BarSeries, funding: FundingSeries | None = None
) -> Subject:
    """Return the function the look-ahead test calls for a flat regime model.

    Its columns: `ready` (0 while windows fill), `feature:NAME` of the batch computation that training uses,
    and from the live filter, bar by bar, `live:NAME`, `state:K` (the filtered probability) and `log_score`.
    Rows without a reading are NaN. Funding that was settled after the last bar of a table is not shown with it.
    """
    names, states = model.features.names, model.hmm.states

    def subject(table: Table) -> Mapping[str, Column]:
        series = series_of(table, like)
        n = len(series)
        settled = None if funding is None else funding.until(int(series.close_ns[-1]))
        columns = bar_columns(series, model.interval_ns, settled)
        batch, status = feature_rows(columns, model.features)
        told: dict[str, Column] = {"ready": status}
        for at, name in enumerate(names):
            told[f"feature:{name}"] = batch[:, at]
        live = np.full((n, len(names) + states + 1), np.nan)
        running = RegimeFilter(model, digest)
        for row in range(n):
            bar = ClosedBar(
                close_ns=int(series.close_ns[row]),
                high=float(columns.high[row]),
                low=float(columns.low[row]),
                close=float(columns.close[row]),
                volume=float(columns.volume[row]),
                taker_base=float(columns.taker_base[row]) if len(columns.taker_base) else 0.0,
                funding=float(columns.funding[row]) if len(columns.funding) else math.nan,
            )
            for _ in range(running.missing(bar.close_ns)):
                running.skip(running.close_ns + model.interval_ns)
            if status[row] in (NO_VOLUME, BAD_FUNDING):
                running.skip(bar.close_ns)  # a hole, as in training and as a strategy takes it
                continue
            reading = running.step(bar)
            if reading is not None:
                live[row] = (*reading.features, *reading.posterior, reading.log_score)
        for at, name in enumerate(names):
            told[f"live:{name}"] = live[:, at]
        for state in range(states):
            told[f"state:{state}"] = live[:, len(names) + state]
        return {**told, "log_score": live[:, -1]}

    return subject
