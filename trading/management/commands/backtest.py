"""`manage.py backtest`: one strategy on stored bars."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.report.from_backtest import run_from_backtest, summary_of
from trading.domain.research.legs import leg_from_words, run_name
from trading.domain.statistics import Summary
from trading.management.run_options import add_run_arguments, positive, request_of
from trading.reports import report_write
from trading.services.backtests import (
    ENGINES,
    Finished,
    backtest_prepare,
    backtest_run,
)
from trading.services.backtests.figures import result_members
from trading.services.research.models import regimes_of
from universe.management.progress import ProgressBar

EXAMPLES = """examples:
  manage.py klines import BTCUSDT_1h.csv.gz --symbol BTCUSDT --interval 1h
  manage.py backtest moving_average --symbol BTCUSDT --interval 1h --param fast=20 slow=50
  manage.py backtest moving_average --symbol BTCUSDT --interval 1h --quantity 0.5 --fee-bps 10 --json
  manage.py backtest trend_follow --symbol BTCUSDT --interval 1h --also moving_average@ETHUSDT share=0.4 fast=5
  manage.py backtest my_strategy.py:MyStrategy --symbol BTCUSDT --interval 1h --report report.html

exit codes: 0 done, 1 refused or failed, 2 usage"""


class Command(BaseCommand):
    help = "Run a strategy over stored bars through the rails, the sizing and the books of live trading."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="a built-in name, or path/to/file.py:Class")
        add_run_arguments(parser)
        parser.add_argument(
            "--also",
            nargs="+",
            action="append",
            default=[],
            metavar=("STRATEGY@SYMBOL", "k=v"),
            help="a further strategy on the same account, with its parameters; share=0.3 is its part of the capital",
        )
        parser.add_argument(
            "--share", type=positive, help="of the first strategy; without it what others leave, equally"
        )
        parser.add_argument("--engine", choices=ENGINES, default="auto", help="the result is the same")
        parser.add_argument(
            "--checkpoint", type=Path, help="Ctrl-C leaves the run here; the next call goes on"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report")
        parser.add_argument(
            "--regimes",
            metavar="ID",
            help="model whose regimes colour the report; default: the strategy's own",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            legs = tuple(leg_from_words(words) for words in options["also"])
        except ValueError as error:
            raise CommandError(f"--also: {error}", returncode=2) from None
        request = replace(request_of(options["strategy"], options), share=options["share"], legs=legs)
        symbol = request.symbol
        bar = ProgressBar(f"backtest {symbol} {options['interval']}")
        try:
            prepared = backtest_prepare(request)
            with _interruptible() as interrupted:
                finished = backtest_run(
                    prepared.inputs,
                    engine=options["engine"],
                    progress=bar,
                    stop=lambda: bool(interrupted),
                    checkpoint=options["checkpoint"],
                )
            statistics = summary_of(finished.result)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except ValueError as error:
            raise CommandError(f"the run failed: {error}") from None
        finally:
            bar.finish()
        for note in prepared.notes:
            self.stderr.write(f"note: {note}")
        members = result_members(
            options["strategy"],
            prepared.params,
            finished.result,
            statistics,
            finished.elapsed_s,
            prepared.legs,
        )
        if options["json"]:
            self.stdout.write(json.dumps(members, allow_nan=False))
        else:
            self._table(members, finished, statistics)
        if options["report"] is not None:
            result = finished.result
            try:
                regimes = regimes_of(
                    prepared.params, result.series[0], result.times_ns, asked=options["regimes"]
                )
            except ApplicationError as error:
                raise CommandError(f"--regimes: {error.message}") from None
            run = run_from_backtest(result, run_name(request.all_legs, options["interval"]), regimes=regimes)
            report_write(options["report"], [run], title=f"Backtest of {run.name}")
        if not finished.result.complete:
            raise CommandError("stopped before the last bar; the figures are those of the part that was run")

    def _table(self, members: dict[str, Any], finished: Finished, statistics: Summary) -> None:
        result = finished.result
        rows = {
            "bars": f"{members['bars']:,} from {members['start']} to {members['end']}",
            "trades": f"{members['trades']:,}, won {_share(members['win_rate'])}",
            "final equity": f"{members['final_equity']:,.2f}",
            "total return": _share(members["total_return"]),
            "max drawdown": _share(members["max_drawdown"]),
            "Sharpe, annual": "undefined" if members["sharpe"] is None else f"{members['sharpe']:.2f}",
            "time in market": _share(members["exposure"]),
            "paid": f"fees {members['fees']:,.2f}, slippage {statistics.slippage:,.2f}, "
            f"funding {statistics.funding:,.2f}",
            "refused orders": ", ".join(f"{k} {v:,}" for k, v in result.refusals_by_rail.items()) or "none",
            "liquidations": f"{result.liquidations:,}",
            "equity sha256": members["equity_sha256"],
            "engine": f"{finished.engine}, {finished.elapsed_s:.2f} s",
        }
        for name, text in rows.items():
            self.stdout.write(f"{name:15} {text}")


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """The first Ctrl-C asks the run to stop after its piece, the second stops the program."""
    interrupted: list[bool] = []

    def note(number: int, frame: Any) -> None:
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(True)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread, where nobody presses Ctrl-C
        yield interrupted
        return
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2%}"
