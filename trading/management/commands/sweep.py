"""`manage.py sweep`: every combination of a parameter grid, ranked, and how much of the best is luck."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.report import ReportRun, Table
from trading.domain.report.from_backtest import run_from_backtest
from trading.domain.report.research_tables import heat_table, luck_table, trial_table
from trading.domain.research.outcomes import SCORES
from trading.domain.research.sweep import Trial
from trading.management.run_options import add_run_arguments, at_least_one, command_line, request_of
from trading.reports import report_write
from trading.services.research import SweepReport, regimes_load, study_open, sweep_run
from trading.services.research.sweep_figures import sweep_members
from universe.management.progress import ProgressBar

EXAMPLES = """examples:
  manage.py sweep moving_average --symbol BTCUSDT --interval 1h --grid fast=5:50:5 slow=20:200:20
  manage.py sweep moving_average --symbol BTCUSDT --interval 1h --grid fast=5:50:5 slow=20:200:20 \\
      --workers 2 --score return_over_drawdown --report sweep.html

Ranges include both ends; name=a,b,c lists values. Every sweep is recorded, and the deflated Sharpe ratio counts
all of them: trying more makes each result worth less.
exit codes: 0 done, 1 refused or failed, 2 usage"""


class Command(BaseCommand):
    help = "Run a strategy with every combination of a parameter grid over stored bars."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="a built-in name, or path/to/file.py:Class")
        add_run_arguments(parser)
        parser.add_argument("--grid", nargs="+", required=True, metavar="name=first:last:step")
        parser.add_argument("--score", choices=sorted(SCORES), default="sharpe", help="what is best")
        parser.add_argument(
            "--workers",
            type=at_least_one,
            default=1,
            help=f"processes; this machine has {os.cpu_count()} cores",
        )
        parser.add_argument("--top", type=at_least_one, default=10, help="how many to print, default 10")
        parser.add_argument(
            "--compare",
            type=at_least_one,
            default=1,
            metavar="N",
            help="show the best N side by side in the report",
        )
        parser.add_argument("--regimes", metavar="ID", help="model whose regimes colour the report")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report of the best run")

    def handle(self, *args: Any, **options: Any) -> None:
        request = request_of(options["strategy"], options)
        bar = ProgressBar(f"sweep {request.symbol} {request.interval}")
        try:
            study = study_open(request)
            report = sweep_run(
                study,
                options["grid"],
                score=options["score"],
                workers=options["workers"],
                keep=options["compare"],
                progress=bar,
            )
            regimes = None
            if options["regimes"] is not None:
                regimes = regimes_load(options["regimes"], study.series, report.best[0].times_ns)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except KeyboardInterrupt:
            raise CommandError("stopped before the end; no trials were recorded") from None
        finally:
            bar.finish()
        for note in study.notes:
            self.stderr.write(f"note: {note}")
        names = [part.partition("=")[0] for part in options["grid"]]
        runs = [
            run_from_backtest(
                result, _values(trial), facts=_facts(report, trial), regimes=regimes, trials=report.trials
            )
            for result, trial in zip(report.best, report.sweep.ranked(), strict=False)
        ]
        if options["report"] is not None:
            tables = [
                luck_table(report.overfitting, report.trials, report.plateau),
                trial_table(report.sweep, names),
            ]
            heat = heat_table(report.sweep, names)
            self._write(options["report"], runs, [heat, *tables] if heat else tables, options)
        members = sweep_members(report)
        if options["json"]:
            self.stdout.write(json.dumps(members, allow_nan=False))
        else:
            self._print(report, members, options["top"])

    def _write(self, path: Path, runs: list[ReportRun], tables: list[Table], options: dict[str, Any]) -> None:
        try:
            report_write(
                path, runs, title=f"Sweep of {options['strategy']}", command=command_line(), extra=tables
            )
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None

    def _print(self, report: SweepReport, members: dict[str, Any], top: int) -> None:
        self.stdout.write(f"{'return':>10} {'Sharpe':>8} {'drawdown':>9} {'trades':>7}  parameters")
        for trial in report.sweep.ranked()[:top]:
            outcome = trial.outcome
            ratio = "-" if outcome.sharpe.value is None else f"{outcome.sharpe.value:.3f}"
            self.stdout.write(
                f"{outcome.total_return:>10.2%} {ratio:>8} {outcome.max_drawdown:>9.2%} {outcome.trades:>7,}  "
                f"{_values(trial)}"
            )
        rows = {
            "trials": f"{members['trials']:,} run in {members['elapsed_s']:.2f} s, {members['skipped']:,} skipped; "
            f"{members['trials_counted']:.1f} independent ones counted in all",
            "P(Sharpe > 0)": _share(members["psr"]),
            "deflated": _share(members["dsr"]),
            "overfitting": _share(members["pbo"]),
            "plateau": _share(members["plateau"]),
        }
        for name, text in rows.items():
            self.stdout.write(f"{name:15} {text}")


def _facts(report: SweepReport, trial: Trial) -> list[tuple[str, str]]:
    place = [item.candidate.number for item in report.sweep.ranked()].index(trial.candidate.number) + 1
    return [
        ("Strategy", report.study.strategy.name),
        ("Parameters", _values(trial)),
        ("Place", f"{place:,} of {len(report.sweep.trials):,} trials by {report.sweep.score}"),
    ]


def _values(trial: Trial) -> str:
    return " ".join(f"{name}={value}" for name, value in trial.candidate.values.items())


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
