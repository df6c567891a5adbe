"""`manage.py replay`: a market maker on recorded trades and best prices."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest.replay import ReplaySettings
from trading.domain.backtest.replay_result import HORIZONS_S, ReplayResult
from trading.domain.clock import NS_PER_MS, interval_ns
from trading.domain.values import decimal_of, split_symbol
from trading.services.backtests.making import replay_run

EXAMPLES = """examples:
  manage.py replay my_maker.py:Maker --symbol BTCUSDT --stream recording.gz --inventory 0.5
  manage.py replay my_maker.py:Maker --symbol BTCUSDT --stream recording.gz --param size=0.01 --json

A recording holds one message of a combined stream a line: RECEIVED_NS JSON, with bookTicker and trade.
exit codes: 0 done, 1 refused or failed, 2 usage"""


class Command(BaseCommand):
    help = "Replay a market maker over recorded trades and best prices, under three beliefs about its fills."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="a built-in name, or path/to/file.py:Class")
        parser.add_argument("--symbol", required=True)
        parser.add_argument(
            "--stream", required=True, type=Path, metavar="FILE", help="recorded combined stream"
        )
        parser.add_argument("--param", nargs="+", action="extend", default=[], type=_pair, metavar="k=v")
        parser.add_argument("--cash", type=decimal_of, default=Decimal(100_000))
        parser.add_argument(
            "--inventory", type=decimal_of, default=Decimal(0), help="base quantity at the start"
        )
        parser.add_argument("--fee-bps", type=decimal_of, default=Decimal(10), help="maker commission")
        parser.add_argument("--feed-ms", type=int, default=5, help="latency of what the strategy sees")
        parser.add_argument("--order-ms", type=int, default=10, help="latency of what it sends")
        parser.add_argument("--interval", default="1m", help="of the bars it sees")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            symbol, market = split_symbol(options["symbol"])
            interval_ns(options["interval"])
            settings = ReplaySettings(
                cash=options["cash"],
                inventory=options["inventory"],
                maker=int(options["fee_bps"] * 10_000),
                feed_ns=options["feed_ms"] * NS_PER_MS,
                order_ns=options["order_ms"] * NS_PER_MS,
                interval=options["interval"],
            )
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from None
        try:
            found = replay_run(
                options["strategy"],
                dict(options["param"]),
                symbol=symbol,
                market="spot" if market is None else market.value,
                recording=options["stream"],
                settings=settings,
            )
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        rows = [_row(result) for result in found]
        if options["json"]:
            self.stdout.write(json.dumps({"strategy": options["strategy"], "symbol": symbol, "models": rows}))
            return
        heads = ("fills", "volume", "fees", "profit", *(f"after {s} s" for s in HORIZONS_S))
        self.stdout.write(f"{'filled when':12}" + "".join(f"{head:>14}" for head in heads))
        for row in rows:
            marks = [row["markout_bps"][str(s)] for s in HORIZONS_S]
            shown = ["-" if mark is None else f"{mark:+.3f} bps" for mark in marks]
            cells = (f"{row['fills']:,}", *(f"{row[n]:,.2f}" for n in ("volume", "fees", "profit")), *shown)
            self.stdout.write(f"{row['model']:12}" + "".join(f"{cell:>14}" for cell in cells))
        self.stdout.write("The middle's move after a fill in our favour; below zero is adverse selection.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected name=value, was {text!r}")
    return name, value


def _row(result: ReplayResult) -> dict[str, Any]:
    return {
        "model": result.model.value,
        "fills": len(result.fills),
        "volume": float(result.volume),
        "fees": float(result.fees),
        "profit": float(result.profit),
        "markout_bps": {str(s): result.mean_markout_bps(s) for s in HORIZONS_S},
        "refused": result.refusals_by_rail,
        "sha256": result.sha256,
    }
