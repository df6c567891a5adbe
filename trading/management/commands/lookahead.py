"""`manage.py lookahead`: does a strategy or a model know the future?"""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.research.lookahead import LookaheadReport
from trading.management.run_options import add_run_arguments, at_least_one, market_of, request_of, whole
from trading.services.research import lookahead_model, lookahead_strategy, study_open
from trading.services.research.lookahead import lookahead_members
from universe.management.progress import ProgressBar

EXAMPLES = """examples:
  manage.py lookahead moving_average --symbol BTCUSDT --interval 1h
  manage.py lookahead my_strategy.py:MyStrategy --symbol BTCUSDT --interval 1h --bars 5000 --cuts 100
  manage.py lookahead --model 3f2a9c --symbol BTCUSDT --interval 1h

The bars are cut off, and changed, after many points; what was said and traded before each must not change. A column
that does is named with the first bar, how far ahead it looks, which input it reads, and what that usually is.
exit codes: 0 no look-ahead found, 1 found or refused, 2 usage"""


class Command(BaseCommand):
    help = "Truncate and change the future, and compare everything a strategy or a model said before it."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", nargs="?", help="a built-in name, or path/to/file.py:Class")
        parser.add_argument("--model", metavar="ID", help="digest of a model, or its first characters")
        add_run_arguments(parser)
        parser.add_argument("--bars", type=at_least_one, default=2000, help="newest bars used, default 2000")
        parser.add_argument("--cuts", type=at_least_one, default=40, help="points tried, default 40")
        parser.add_argument("--seed", type=whole, default=1)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["strategy"] is None) == (options["model"] is None):
            raise CommandError("name a strategy, or a model with --model", returncode=2)
        bar = ProgressBar("look-ahead test")
        try:
            report = self._run(options, bar)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except KeyboardInterrupt:
            raise CommandError("stopped before the end") from None
        finally:
            bar.finish()
        members = lookahead_members(
            report,
            strategy=options["strategy"],
            model=options["model"],
            symbol=options["symbol"][0],
            interval=options["interval"],
        )
        if options["json"]:
            self.stdout.write(json.dumps(members, allow_nan=False))
        else:
            self._print(report)
        if not report.passed:
            names = ", ".join(leak.column for leak in report.leaks)
            raise CommandError(f"look-ahead in {names}")

    def _run(self, options: dict[str, Any], bar: ProgressBar) -> LookaheadReport:
        common = {name: options[name] for name in ("bars", "cuts", "seed")}
        if options["model"] is not None:
            name, market = market_of(options)
            return lookahead_model(
                options["model"],
                symbol=name,
                interval=options["interval"],
                market=market,
                progress=bar,
                **common,
            )
        study = study_open(request_of(options["strategy"], options))
        return lookahead_strategy(study, progress=bar, **common)

    def _print(self, report: LookaheadReport) -> None:
        self.stdout.write(
            f"{len(report.columns)} columns on {report.rows:,} bars, cut and changed at {len(report.cuts)} points: "
            f"{', '.join(report.columns)}"
        )
        for leak in report.leaks:
            inputs = f", reads later {', '.join(leak.inputs)}" if leak.inputs else ""
            self.stdout.write(
                f"{leak.column}: bar {leak.bar} says {leak.with_future} with the later bars and "
                f"{leak.without_future} without (found by {leak.found_by} at {leak.cut}{inputs})\n"
                f"  {leak.hint}"
            )
        if report.passed:
            self.stdout.write("no look-ahead found")
