"""`manage.py parity`: what a strategy did live beside what the backtester does on the same bars."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import ns_to_datetime
from trading.domain.parity import Difference, Said
from trading.domain.values import decimal_text
from trading.management.run_options import rate, symbol, time
from trading.services.parity import ParityReport, parity_check

EXAMPLES = """examples:
  manage.py parity moving_average
  manage.py parity moving_average --symbol BTCUSDT --start 2026-11-28 --json

Decisions have to be equal. What a strategy decides at books is decided again from what each step saw, which is kept
for six hours. The difference of the results is split into signal (other decisions), latency (the market
moved before the order left), fill (price and quantity) and fee; the parts add up to the difference.
exit codes: 0 every decision is the same, 1 some are not or there is nothing to compare, 2 usage"""

_MOST_SHOWN = 20
_EFFECTS = ("signal", "latency", "fill", "fee", "carried")


class Command(BaseCommand):
    help = "Compare a live strategy's recorded decisions and results with a backtest of the same bars."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="the name it runs under")
        parser.add_argument("--account", help="only there")
        parser.add_argument("--symbol", type=symbol, help="only there")
        parser.add_argument("--start", type=time, help="decisions about bars that open then or later (UTC)")
        parser.add_argument("--end", type=time, help="and before that")
        parser.add_argument("--fee-bps", type=rate, default=rate("10"), help="of the backtest, default 10")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reports = parity_check(
                strategy=options["strategy"],
                account=options["account"],
                symbol=None if options["symbol"] is None else options["symbol"][0],
                start=options["start"],
                end=options["end"],
                fee_bps=options["fee_bps"],
            )
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        if options["json"]:
            self.stdout.write(json.dumps({"instances": [_members(r) for r in reports]}, allow_nan=False))
        else:
            for report in reports:
                self._print(report)
        if any(report.comparison.differences for report in reports):
            raise CommandError("some decisions differ")
        if not any(report.comparison.same for report in reports):
            raise CommandError("there was nothing to compare")

    def _print(self, report: ParityReport) -> None:
        found = report.comparison
        self.stdout.write(
            f"{report.strategy} {report.symbol} {report.interval} on {report.account}, "
            f"{report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M}"
        )
        self.stdout.write(f"  decisions    {found.same:,} of {found.compared:,} the same")
        for reason, count in report.skipped.items():
            self.stdout.write(f"  not compared {count:,}: {reason}")
        for difference in found.differences[:_MOST_SHOWN]:
            self.stdout.write(f"  {_line(difference)}")
        if len(found.differences) > _MOST_SHOWN:
            self.stdout.write(f"  and {len(found.differences) - _MOST_SHOWN:,} more")
        if report.split is None:
            self.stdout.write("  nothing was traded")
            return
        self.stdout.write(f"  orders       {report.orders:,}" + _listed(report.denied))
        self.stdout.write(f"  live         {report.split.live:>14,.4f}")
        self.stdout.write(f"  backtest     {report.split.backtest:>14,.4f}")
        self.stdout.write(f"  difference   {report.split.difference:>14,.4f}, which is")
        for name in _EFFECTS:
            effect = getattr(report.split, name)
            if effect or name != "carried":
                note = f"  (price {report.split.price:,.4f}, quantity {report.split.size:,.4f})"
                self.stdout.write(f"    {name:10} {effect:>14,.4f}" + (note if name == "fill" else ""))
        waits = ", ".join(
            f"{n.replace('_', ' ')} {s:.3f} s" for n, s in report.timing.items() if s is not None
        )
        self.stdout.write(f"  medians      {waits or 'none'}")


def _line(difference: Difference) -> str:
    at = ns_to_datetime(difference.close_ns)
    if difference.kind == "memory":
        return f"{at:%Y-%m-%d %H:%M:%S} memory   what it remembered is not what the steps before lead to"
    said = [
        "nothing" if one is None else f"{one.target:+.4f}{_quoted(one)} ({one.reason}, {one.confidence:.3f})"
        for one in (difference.live, difference.backtest)
    ]
    return f"{at:%Y-%m-%d %H:%M:%S} {difference.kind:8} live {said[0]}, backtest {said[1]}"


def _quoted(said: Said) -> str:
    if said.quotes is None:
        return ""
    wanted = said.quotes
    return f" {wanted.bid_size:g} at {wanted.bid_price:g} / {wanted.ask_size:g} at {wanted.ask_price:g}"


def _listed(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{code} {count:,}' for code, count in counts.items())})" if counts else ""


def _said(said: Said | None) -> dict[str, Any] | None:
    if said is None:
        return None
    quotes = None if said.quotes is None else asdict(said.quotes)
    return {"target": said.target, "reason": said.reason, "quotes": quotes}


def _members(report: ParityReport) -> dict[str, Any]:
    effects = ("live", "backtest", "difference", *_EFFECTS, "price", "size")
    return {
        "strategy": report.strategy,
        "account": report.account,
        "symbol": report.symbol,
        "interval": report.interval,
        "start": report.start.isoformat(),
        "end": report.end.isoformat(),
        "compared": report.comparison.compared,
        "same": report.comparison.same,
        "differences": [
            {
                "bar_close_at": ns_to_datetime(d.close_ns).isoformat(),
                "kind": d.kind,
                "live": _said(d.live),
                "backtest": _said(d.backtest),
            }
            for d in report.comparison.differences
        ],
        "skipped": dict(report.skipped),
        "orders": report.orders,
        "codes": report.denied,
        "result": None
        if report.split is None
        else {name: decimal_text(getattr(report.split, name)) for name in effects},
        "timing_s": report.timing,
    }
