"""`manage.py walkforward`: choose on the past, trade what follows, and see whether it would pass the gate."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import ns_to_datetime
from trading.domain.report import Regimes
from trading.domain.report.from_backtest import run_from_backtest, run_from_tests
from trading.domain.report.research_tables import gate_table, luck_table, step_table
from trading.domain.report.text import stamp
from trading.domain.statistics import periods_per_year
from trading.management.run_options import add_run_arguments, at_least_one, command_line, request_of, whole
from trading.services.reports import report_write
from trading.services.research import WalkForwardReport, regimes_load, study_open, walk_forward_run
from universe.management.progress import ProgressBar

EXAMPLES = """examples:
  manage.py walkforward moving_average --symbol BTCUSDT --interval 1h \\
      --grid fast=5:50:5 slow=20:200:20 --train 4380 --test 1095
  manage.py walkforward moving_average --symbol BTCUSDT --interval 1h \\
      --grid fast=5:50:5 slow=20:200:20 --train 4380 --test 1095 --mode anchored --report walkforward.html

Training ends a gap before each test: --purge bars a result reaches ahead, then --embargo (by default 1 % of the
training bars or the longest warm-up, whichever is larger). Exit code 0 says the test was run, not that it passed.
exit codes: 0 done, 1 refused or failed, 2 usage"""


class Command(BaseCommand):
    help = "Choose parameters on a window of bars, trade the bars after it, move on; stitch what was traded."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="a built-in name, or path/to/file.py:Class")
        add_run_arguments(parser)
        parser.add_argument("--grid", nargs="+", required=True, metavar="name=first:last:step")
        parser.add_argument("--train", type=at_least_one, required=True, help="bars to choose on")
        parser.add_argument("--test", type=at_least_one, required=True, help="bars to judge on, per window")
        parser.add_argument("--mode", choices=("rolling", "anchored"), default="rolling")
        parser.add_argument("--purge", type=whole, default=1, help="bars a result reaches ahead, default 1")
        parser.add_argument("--embargo", type=whole, help="further bars between training and test")
        parser.add_argument("--seed", type=whole, default=1, help="of the bootstrap")
        parser.add_argument(
            "--workers",
            type=at_least_one,
            default=1,
            help=f"processes; this machine has {os.cpu_count()} cores",
        )
        parser.add_argument("--regimes", metavar="ID", help="model whose regimes colour the report")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report")

    def handle(self, *args: Any, **options: Any) -> None:
        request = request_of(options["strategy"], options)
        bar = ProgressBar(f"walk-forward {request.symbol} {request.interval}")
        try:
            study = study_open(request)
            report = walk_forward_run(
                study,
                options["grid"],
                train=options["train"],
                test=options["test"],
                mode=options["mode"],
                purge=options["purge"],
                embargo=options["embargo"],
                workers=options["workers"],
                seed=options["seed"],
                progress=bar,
            )
            if options["report"] is not None:
                self._write(options["report"], report, options)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except KeyboardInterrupt:
            raise CommandError("stopped before the end; no trials were recorded") from None
        finally:
            bar.finish()
        for note in study.notes:
            self.stderr.write(f"note: {note}")
        members = _members(report)
        if options["json"]:
            self.stdout.write(json.dumps(members, allow_nan=False))
        else:
            self._print(report, members)

    def _write(self, path: Path, report: WalkForwardReport, options: dict[str, Any]) -> None:
        series = report.study.series
        tables = [
            gate_table(report.gate),
            step_table(
                report.walk,
                [_label(candidate.values) for candidate in report.candidates.valid],
                series,
                periods_per_year(report.curve.step_ns),
            ),
            luck_table(report.overfitting, report.trials, None),
        ]
        regimes: dict[str, Regimes | None] = {"stitched": None, "hindsight": None}
        if options["regimes"] is not None:
            for name, times in (
                ("stitched", report.curve.times_ns),
                ("hindsight", report.hindsight.times_ns),
            ):
                regimes[name] = regimes_load(options["regimes"], series, times)
        stitched = run_from_tests(
            report.tests,
            "walk-forward, out of sample",
            series=series,
            curve=report.curve,
            counted=report.summary,
            regimes=regimes["stitched"],
            facts=[("Strategy", report.study.strategy.name), ("Windows", f"{len(report.walk.steps)}")],
            assumptions={name: str(options[name]) for name in ("mode", "train", "test", "purge", "embargo")},
        )
        hindsight = run_from_backtest(
            report.hindsight, "best in hindsight", regimes=regimes["hindsight"], trials=report.trials
        )
        title = f"Walk-forward of {options['strategy']}"
        report_write(path, [stitched, hindsight], title=title, command=command_line(), extra=tables)

    def _print(self, report: WalkForwardReport, members: dict[str, Any]) -> None:
        self.stdout.write(f"{'test from':17} {'to':17} {'in sample':>10} {'out':>8}  chosen")
        series = report.study.series
        for step, window in zip(report.walk.steps, members["windows"], strict=True):
            first = stamp(int(series.open_ns[step.window.test_start]))
            last = stamp(int(series.close_ns[step.window.test_stop - 1]))
            self.stdout.write(
                f"{first:17} {last:17} {window['sharpe_in_sample']:>10.2f} "
                f"{window['sharpe_out_of_sample']:>8.2f}  {_label(window['params'])}"
            )
        ratio = members["sharpe"]
        rows = {
            "out of sample": f"return {members['total_return']:.2%}, Sharpe "
            f"{'undefined' if ratio is None else f'{ratio:.2f}'}, drawdown {members['max_drawdown']:.2%}",
            "in hindsight": f"return {members['hindsight']['total_return']:.2%} over the same bars with "
            f"{_label(members['hindsight']['params'])}",
            "efficiency": "undefined" if members["efficiency"] is None else f"{members['efficiency']:.0%}",
        }
        for name, text in rows.items():
            self.stdout.write(f"{name:15} {text}")
        for criterion in members["gate"]:
            if criterion["measured"] is None:
                self.stdout.write(f"{'gate':15} {criterion['name']}: cannot be measured, failed")
                continue
            measured = f"{criterion['measured']:.4g}"
            sign = ">=" if criterion["at_least"] else "<="
            verdict = "passed" if criterion["passed"] else "failed"
            self.stdout.write(
                f"{'gate':15} {criterion['name']}: {measured} {sign} {criterion['limit']:.4g} {verdict}"
            )


def _members(report: WalkForwardReport) -> dict[str, Any]:
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


def _label(values: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())
