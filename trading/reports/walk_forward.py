"""A walk-forward as a report shows it: what was traded out of sample beside the best in hindsight, and the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trading.domain.report import Regimes
from trading.domain.report.from_backtest import run_from_backtest, run_from_tests
from trading.domain.report.research_tables import gate_table, luck_table, step_table
from trading.domain.report.run import ReportRun
from trading.domain.statistics import periods_per_year
from trading.services.research.walk_forward import WalkAsked, WalkForwardReport


def walk_forward_tables(report: WalkForwardReport) -> list[Any]:
    """Return the tables of the gate, the steps and the luck."""
    labels = [label_of(candidate.values) for candidate in report.candidates.valid]
    scale = periods_per_year(report.curve.step_ns)
    return [
        gate_table(report.gate),
        step_table(report.walk, labels, report.study.series, scale),
        luck_table(report.overfitting, report.trials, None),
    ]


def walk_forward_runs(
    report: WalkForwardReport,
    asked: WalkAsked,
    *,
    of: str = "",
    facts: Sequence[tuple[str, str]] = (),
    regimes: Mapping[str, Regimes] | None = None,
) -> list[ReportRun]:
    """Return the two runs of a report, `stitched` and `hindsight`.

    Parameters
    ----------
    of : put before the names, where several are shown.  regimes : by these two words, at the times of each.
    """
    known = regimes or {}
    stitched = run_from_tests(
        report.tests,
        f"{of}walk-forward, out of sample",
        series=report.study.series,
        curve=report.curve,
        counted=report.summary,
        regimes=known.get("stitched"),
        facts=[("Strategy", report.study.strategy.name), ("Windows", f"{len(report.walk.steps)}"), *facts],
        assumptions={
            name: str(getattr(asked, name)) for name in ("mode", "train", "test", "purge", "embargo")
        },
    )
    hindsight = run_from_backtest(
        report.hindsight, f"{of}best in hindsight", regimes=known.get("hindsight"), trials=report.trials
    )
    return [stitched, hindsight]


def label_of(values: Mapping[str, Any]) -> str:
    """Return a configuration as words."""
    return " ".join(f"{name}={value}" for name, value in values.items())
