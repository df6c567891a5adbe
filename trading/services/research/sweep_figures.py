"""The figures of a sweep as one plain object, the same for the command, the API and the pages."""

from __future__ import annotations

from typing import Any

from trading.domain.report.from_backtest import summary_of
from trading.domain.research.sweep import Trial
from trading.services.research.sweep import SweepReport


def sweep_members(report: SweepReport) -> dict[str, Any]:
    """Return what a sweep came to: how much of the best is luck, and every configuration, best first."""
    judged = summary_of(report.best[0], report.trials)
    study = report.study
    return {
        "strategy": study.request.strategy,
        "symbol": study.series.symbol,
        "interval": study.series.interval,
        "bars": len(study.series),
        "score": report.sweep.score,
        "trials": len(report.sweep.trials),
        "skipped": report.sweep.skipped,
        "effective_trials": report.sweep.trial_count().effective,
        "trials_counted": report.trials.count,
        "psr": judged.psr.value,
        "dsr": judged.dsr.value,
        "pbo": None if report.overfitting is None else report.overfitting.probability,
        "plateau": report.plateau,
        "best": _trial(report.sweep.ranked()[0]),
        "best_equity_sha256": report.best[0].equity_sha256,
        "results": [_trial(trial) for trial in report.sweep.ranked()],
        "elapsed_s": round(report.elapsed_s, 6),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    outcome = trial.outcome
    return {
        "params": dict(trial.candidate.values),
        "total_return": outcome.total_return,
        "final_equity": outcome.final_equity,
        "sharpe": outcome.sharpe.value,
        "max_drawdown": outcome.max_drawdown,
        "trades": outcome.trades,
        "fees": outcome.fees,
    }
