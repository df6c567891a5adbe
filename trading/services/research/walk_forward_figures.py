"""The figures of a walk-forward as one plain object, the same for the command, the API and the pages."""

from __future__ import annotations

from typing import Any

from trading.domain.clock import ns_to_datetime
from trading.domain.statistics import periods_per_year
from trading.services.research.walk_forward import WalkForwardReport


def walk_forward_members(report: WalkForwardReport) -> dict[str, Any]:
    """Return what a walk-forward came to; Sharpe ratios annual, fractions as fractions, None where undefined."""
    study, walk = report.study, report.walk
    opens, closes = study.series.open_ns, study.series.close_ns
    scale = periods_per_year(report.curve.step_ns) ** 0.5
    return {
        "strategy": study.request.strategy,
        "symbol": study.series.symbol,
        "interval": study.series.interval,
        "bars": len(study.series),
        "candidates": len(report.candidates.valid),
        "skipped": report.candidates.skipped,
        "windows": [
            {
                "train_from": _iso(opens[step.window.train_start]),
                "train_to": _iso(closes[step.window.train_stop - 1]),
                "test_from": _iso(opens[step.window.test_start]),
                "test_to": _iso(closes[step.window.test_stop - 1]),
                "params": dict(report.candidates.valid[step.chosen].values),
                "sharpe_in_sample": step.in_sample * scale,
                "sharpe_out_of_sample": step.out_of_sample * scale,
            }
            for step in walk.steps
        ],
        "total_return": report.summary.total_return,
        "sharpe": report.summary.sharpe.value,
        "max_drawdown": report.summary.max_drawdown,
        "psr": report.summary.psr.value,
        "dsr": report.summary.dsr.value,
        "pbo": None if report.overfitting is None else report.overfitting.probability,
        "trades": report.summary.trades.trades,
        "fees": report.summary.fees,
        "efficiency": walk.efficiency,
        "stability": walk.stability,
        "trials_counted": report.trials.count,
        "daily_growth": None
        if report.growth is None
        else {
            "mean": report.growth.estimate,
            "low": report.growth.low,
            "high": report.growth.high,
            "level": 0.95,
        },
        "hindsight": {
            "params": _hindsight_params(report),
            "total_return": _over_tests(report),
        },
        "gate": [
            {
                "name": criterion.name,
                "measured": criterion.measured,
                "limit": criterion.limit,
                "at_least": criterion.at_least,
                "passed": criterion.passed,
            }
            for criterion in report.gate
        ],
        "passed": all(criterion.passed for criterion in report.gate),
    }


def _over_tests(report: WalkForwardReport) -> float:
    """What the best configuration in hindsight made over the bars that were tested."""
    steps, equity = report.walk.steps, report.hindsight.equity
    # Row 0 is the first open, row k the k-th close: the close before the first test has the number of its bar.
    return float(equity[steps[-1].window.test_stop]) / float(equity[steps[0].window.test_start]) - 1.0


def _hindsight_params(report: WalkForwardReport) -> dict[str, str]:
    return dict(report.sweep.ranked()[0].candidate.values)


def _iso(at_ns: Any) -> str:
    return ns_to_datetime(int(at_ns)).isoformat()
