"""`manage.py walkforward`: choose on the past, trade what follows, and see whether it would pass the gate."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.report import Regimes
from trading.domain.report.text import stamp
from trading.management.run_options import add_run_arguments, at_least_one, command_line, request_of, whole
from trading.reports import report_write
from trading.reports.walk_forward import label_of, walk_forward_runs, walk_forward_tables
from trading.services.research import WalkAsked, WalkForwardReport, regimes_load, study_open, walk_forward_run
from trading.services.research.walk_forward_figures import walk_forward_members
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
        asked = WalkAsked(
            **{name: options[name] for name in ("train", "test", "mode", "purge", "embargo", "seed")}
        )
        bar = ProgressBar(f"walk-forward {request.symbol} {request.interval}")
        try:
            study = study_open(request)
            report = walk_forward_run(
                study,
                options["grid"],
                asked,
                workers=options["workers"],
                progress=bar,
            )
            if options["report"] is not None:
                self._write(options["report"], report, asked, options["regimes"])
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except KeyboardInterrupt:
            raise CommandError("stopped before the end; no trials were recorded") from None
        finally:
            bar.finish()
        for note in study.notes:
            self.stderr.write(f"note: {note}")
        members = walk_forward_members(report)
        if options["json"]:
            self.stdout.write(json.dumps(members, allow_nan=False))
        else:
            self._print(report, members)

    def _write(self, path: Path, report: WalkForwardReport, asked: WalkAsked, model: str | None) -> None:
        regimes: dict[str, Regimes] = {}
        if model is not None:
            for name, times in (
                ("stitched", report.curve.times_ns),
                ("hindsight", report.hindsight.times_ns),
            ):
                regimes[name] = regimes_load(model, report.study.series, times)
        title = f"Walk-forward of {report.study.request.strategy}"
        runs = walk_forward_runs(report, asked, regimes=regimes)
        report_write(path, runs, title=title, command=command_line(), extra=walk_forward_tables(report))

    def _print(self, report: WalkForwardReport, members: dict[str, Any]) -> None:
        self.stdout.write(f"{'test from':17} {'to':17} {'in sample':>10} {'out':>8}  chosen")
        series = report.study.series
        for step, window in zip(report.walk.steps, members["windows"], strict=True):
            first = stamp(int(series.open_ns[step.window.test_start]))
            last = stamp(int(series.close_ns[step.window.test_stop - 1]))
            self.stdout.write(
                f"{first:17} {last:17} {window['sharpe_in_sample']:>10.2f} "
                f"{window['sharpe_out_of_sample']:>8.2f}  {label_of(window['params'])}"
            )
        ratio = members["sharpe"]
        rows = {
            "out of sample": f"return {members['total_return']:.2%}, Sharpe "
            f"{'undefined' if ratio is None else f'{ratio:.2f}'}, drawdown {members['max_drawdown']:.2%}",
            "in hindsight": f"return {members['hindsight']['total_return']:.2%} over the same bars with "
            f"{label_of(members['hindsight']['params'])}",
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
