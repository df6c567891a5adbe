"""`manage.py instruments sync`: read the venue's exchangeInfo now."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import VenueError
from universe.services import instruments_sync, market_data_of, venue_ensure

EXAMPLES = """example:
  manage.py instruments sync

exit codes: 0 done, 1 refused or failed, 2 usage"""


class Command(BaseCommand):
    help = "Keep instruments and their filters in step with the venue."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="sync")
        sync = verbs.add_parser("sync", help="store what exchangeInfo says and print what changed")
        sync.add_argument("--market", choices=("spot", "usdm"), default="spot")
        sync.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            venue = venue_ensure(market=options["market"], environment=settings.BINANCE_ENV)
            result = instruments_sync(venue, market_data_of(options["market"]))
        except (VenueError, ApplicationError) as error:
            self.stderr.write(f"sync failed, nothing was changed: {error}")
            sys.exit(1)
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "added": list(result.added),
                        "changed": list(result.changed),
                        "delisted": list(result.delisted),
                        "unchanged": result.unchanged,
                        "unreadable": [{"symbol": s, "why": why} for s, why in result.unreadable],
                    }
                )
            )
            return
        self.stdout.write(
            f"{venue.name}: {len(result.added)} added, {len(result.changed)} changed, "
            f"{len(result.delisted)} delisted, {result.unchanged} unchanged"
        )
        for symbol, why in result.unreadable:
            self.stderr.write(f"  {symbol}: left as it was, {why}")
