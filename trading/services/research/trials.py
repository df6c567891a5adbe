"""The count of trials: one row per sweep, so that a best result can be deflated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from nautilus_site.common.errors import ApplicationError
from trading.domain.research.trials import TrialCount, pooled_trials
from trading.domain.statistics import Trials
from trading.models import TrialTally


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One sweep that was run; `at` is wall time."""

    at: datetime
    strategy: str
    symbol: str
    interval: str
    data_sha256: str
    grid: str
    trials: TrialCount


def trials_path() -> Path:
    """Where versions before the table kept the records; what is there still counts."""
    return Path(settings.NAUTILUS_HOME) / "research" / "trials.jsonl"


def trials_record(record: TrialRecord) -> None:
    """Count a sweep, for whoever looks at these bars or this strategy next, on whatever host."""
    TrialTally.objects.create(
        at=record.at,
        strategy=record.strategy,
        symbol=record.symbol,
        interval=record.interval,
        data_sha256=record.data_sha256,
        grid=record.grid,
        count=record.trials.count,
        effective=record.trials.effective,
        sharpe_mean=record.trials.sharpe_mean,
        sharpe_variance=record.trials.sharpe_variance,
    )


def trials_listed() -> list[TrialRecord]:
    """Return every recorded sweep, oldest first.

    Raises
    ------
    ApplicationError : code TRIALS_DAMAGED, with the line: a lost count would make results look better.
    """
    found = []
    path = trials_path()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(_record(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise ApplicationError("TRIALS_DAMAGED", f"{path} line {number}: {error}") from error
    return found + [_of_row(row) for row in TrialTally.objects.order_by("id")]


def trials_for(strategy: str, symbol: str, interval: str) -> Trials | None:
    """Return what a result on these bars was chosen from: every sweep of the strategy, or over the same bars.

    Sweeps over the same symbol and interval count whatever the strategy was: the data were looked at.
    The same grid over the same file counts once, however often it was run.
    """
    counts: dict[tuple[str, ...], TrialCount] = {}
    for item in trials_listed():
        if item.strategy == strategy or (item.symbol, item.interval) == (symbol, interval):
            key = (item.strategy, item.symbol, item.interval, item.data_sha256, item.grid)
            counts[key] = item.trials
    return pooled_trials(counts.values()) if counts else None


def _record(data: dict[str, Any]) -> TrialRecord:
    return TrialRecord(
        datetime.fromisoformat(data["at"]),
        str(data["strategy"]),
        str(data["symbol"]),
        str(data["interval"]),
        str(data["data_sha256"]),
        str(data["grid"]),
        TrialCount(
            int(data["count"]),
            float(data["effective"]),
            float(data["sharpe_mean"]),
            float(data["sharpe_variance"]),
        ),
    )


def _of_row(row: TrialTally) -> TrialRecord:
    counted = TrialCount(row.count, row.effective, row.sharpe_mean, row.sharpe_variance)
    return TrialRecord(row.at, row.strategy, row.symbol, row.interval, row.data_sha256, row.grid, counted)
