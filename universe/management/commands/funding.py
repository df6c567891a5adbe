"""`manage.py funding import|fetch|list|validate`: the history of funding rates."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import VenueError
from trading.domain.values import Market, split_symbol
from universe.adapters.binance import Priority
from universe.management.arguments import time_argument
from universe.selectors import funding_overview
from universe.services import funding_fetch, funding_holes, funding_import, usdm_market_data

EXAMPLES = """examples:
  manage.py funding import BTCUSDT-fundingRate-2023-*.zip --symbol BTCUSDT
  manage.py funding fetch BTCUSDT --start 2023-01-01
  manage.py funding list --json
  manage.py funding validate BTCUSDT

exit codes: 0 done, 1 refused, failed or (validate) with holes, 2 usage"""


class Command(BaseCommand):
    help = "Import, fetch, list and validate the funding rates of USD-M perpetuals."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="import|fetch|list|validate")
        add = verbs.add_parser("import", help="store files of the public archive, or time,rate[,mark_price]")
        add.add_argument("files", nargs="+", type=Path, metavar="FILE")
        add.add_argument("--symbol", required=True, type=_contract)
        fetch = verbs.add_parser("fetch", help="ask the venue, since the newest rate it confirmed")
        fetch.add_argument("symbol", type=_contract)
        fetch.add_argument("--start", type=time_argument, help="from here on, e.g. 2023-01-01 (UTC)")
        listing = verbs.add_parser("list", help="what is stored")
        check = verbs.add_parser("validate", help="report settlements that are missing")
        check.add_argument("symbol", type=_contract)
        for verb in (add, fetch, listing, check):
            verb.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        runs = {
            "import": self._import,
            "fetch": self._fetch,
            "list": self._list,
            "validate": self._validate,
        }
        try:
            if not runs[verb](options):
                sys.exit(1)
        except (ApplicationError, VenueError, OSError) as error:
            self.stderr.write(f"funding {verb} failed: {error}")
            sys.exit(1)

    def _import(self, options: dict[str, Any]) -> bool:
        told, refused = [], 0
        for path in options["files"]:
            try:
                rows, stored = funding_import(path, symbol=options["symbol"])
            except (ApplicationError, OSError) as error:
                # A refused file leaves the others alone.
                self.stderr.write(f"refused, nothing of it was stored: {error}")
                refused += 1
                continue
            told.append({"file": path.name, "rows": rows, "new": stored.new, "revised": stored.revised})
        if options["json"]:
            self.stdout.write(json.dumps({"files": told, "refused": refused}))
        else:
            for one in told:
                self.stdout.write(
                    f"{one['file']}: {one['rows']} rates ({one['new']} new, {one['revised']} revised)"
                )
        return not refused

    def _fetch(self, options: dict[str, Any]) -> bool:
        venue = usdm_market_data(priority=Priority.BULK)
        stored = funding_fetch(options["symbol"], venue, start=options["start"])
        if options["json"]:
            self.stdout.write(json.dumps({"new": stored.new, "revised": stored.revised}))
        else:
            self.stdout.write(f"{options['symbol']}: {stored.new} new, {stored.revised} revised")
        return True

    def _list(self, options: dict[str, Any]) -> bool:
        rows = funding_overview()
        if options["json"]:
            members = [
                {"symbol": symbol, "rates": n, "first": first.isoformat(), "last": last.isoformat()}
                for symbol, n, first, last in rows
            ]
            self.stdout.write(json.dumps(members))
            return True
        if not rows:
            self.stdout.write("nothing is stored; see `manage.py funding import --help`")
        for symbol, n, first, last in rows:
            self.stdout.write(f"{symbol:12} {n:>7} rates  {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}")
        return True

    def _validate(self, options: dict[str, Any]) -> bool:
        holes = funding_holes(options["symbol"])
        if options["json"]:
            members = [{"before": one.before.isoformat(), "after": one.after.isoformat()} for one in holes]
            self.stdout.write(json.dumps({"symbol": options["symbol"], "holes": members}))
        elif not holes:
            self.stdout.write(f"{options['symbol']}: ok, no settlement is missing")
        else:
            for one in holes:
                self.stdout.write(
                    f"{options['symbol']}: nothing between {one.before:%Y-%m-%d %H:%M} and "
                    f"{one.after:%Y-%m-%d %H:%M}"
                )
        return not holes


def _contract(text: str) -> str:
    try:
        symbol, market = split_symbol(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if market is Market.spot:
        raise argparse.ArgumentTypeError(f"{symbol} on spot has no funding")
    return symbol
