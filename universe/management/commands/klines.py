"""`manage.py klines import|download|list|check`: the store of historic bars."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import interval_ns, ns_to_datetime
from trading.domain.errors import VenueError
from trading.domain.values import split_symbol
from universe.adapters.binance import Priority
from universe.adapters.klines import KlineFileRefused
from universe.domain.bars import Gap
from universe.management.arguments import time_argument
from universe.management.progress import ProgressBar
from universe.models import KlineFile
from universe.selectors import kline_file_get, kline_files_listed
from universe.services.connections import market_data_of
from universe.services.kline_files import (
    CheckReport,
    ImportReport,
    kline_file_check,
    klines_download,
    klines_import,
)

EXAMPLES = """examples:
  manage.py klines import BTCUSDT-1h-2023-*.zip --symbol BTCUSDT --interval 1h
  manage.py klines download BTCUSDT 1m --start 2026-01-01 --end 2026-02-01
  manage.py klines list --json
  manage.py klines check BTCUSDT 1h

exit codes: 0 done (gaps are reported, not refused), 1 refused or failed, 2 usage"""

_GAPS_SHOWN = 10


class Command(BaseCommand):
    help = "Import, download, list and check files of historic bars."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="import|download|list|check")
        add = verbs.add_parser("import", help="check files and merge them into the store")
        add.add_argument("files", nargs="+", type=Path, metavar="FILE")
        add.add_argument("--symbol", required=True, type=_symbol)
        add.add_argument("--interval", required=True, type=_interval)
        add.add_argument("--market", choices=("spot", "usdm"), default="spot")
        fetch = verbs.add_parser("download", help="fetch closed spot bars from the venue into the store")
        fetch.add_argument("symbol", type=_symbol)
        fetch.add_argument("interval", type=_interval)
        fetch.add_argument(
            "--start", required=True, type=time_argument, help="first open time, e.g. 2026-01-01 (UTC)"
        )
        fetch.add_argument(
            "--end", type=time_argument, help="last open time; without it, up to the newest closed bar"
        )
        fetch.add_argument("--market", choices=("spot", "usdm"), default="spot")
        listing = verbs.add_parser("list", help="show the catalogue")
        check = verbs.add_parser("check", help="compare files with the catalogue and report gaps")
        check.add_argument("symbol", nargs="?", type=_symbol)
        check.add_argument("interval", nargs="?", type=_interval)
        check.add_argument("--market", choices=("spot", "usdm"), default="spot")
        for verb in (add, fetch, listing, check):
            verb.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        runs = {"import": self._import, "download": self._download, "list": self._list, "check": self._check}
        if not runs[verb](options):
            sys.exit(1)

    def _import(self, options: dict[str, Any]) -> bool:
        bar = ProgressBar(f"importing {options['symbol']} {options['interval']}")
        try:
            report = klines_import(
                options["files"],
                symbol=options["symbol"],
                interval=options["interval"],
                market=options["market"],
                progress=bar,
            )
        except OSError as error:
            self.stderr.write(f"cannot read or write: {error}")
            return False
        except KlineFileRefused as refusal:
            self.stderr.write(f"the stored file is damaged; nothing was changed: {refusal}")
            return False
        finally:
            bar.finish()
        self._report(report, as_json=options["json"])
        return not report.refused

    def _download(self, options: dict[str, Any]) -> bool:
        bar = ProgressBar(f"downloading {options['symbol']} {options['interval']}")
        try:
            report = klines_download(
                market_data_of(options["market"], priority=Priority.BULK),
                market=options["market"],
                symbol=options["symbol"],
                interval=options["interval"],
                start=options["start"],
                end=options["end"],
                progress=bar,
            )
        except (VenueError, ApplicationError, KlineFileRefused, OSError) as error:
            self.stderr.write(f"download failed: {error}")
            return False
        finally:
            bar.finish()
        self._report(report, as_json=options["json"])
        return True

    def _list(self, options: dict[str, Any]) -> bool:
        files = list(kline_files_listed())
        if options["json"]:
            self.stdout.write(json.dumps([_file_json(row) for row in files]))
            return True
        if not files:
            self.stdout.write("the store is empty; see `manage.py klines import --help`")
        for row in files:
            self.stdout.write(
                f"{row.market:5} {row.symbol:12} {row.interval:4} {row.rows:>9} bars  "
                f"{row.first_open_time:%Y-%m-%d %H:%M} to {row.last_open_time:%Y-%m-%d %H:%M}  "
                f"{len(row.gaps)} gaps  {row.sha256[:12]}"
            )
        return True

    def _check(self, options: dict[str, Any]) -> bool:
        if (options["symbol"] is None) != (options["interval"] is None):
            self.stderr.write("give a symbol and an interval, or neither")
            sys.exit(2)
        files: list[KlineFile]
        if options["symbol"] is None:
            files = list(kline_files_listed())
        else:
            row = kline_file_get(options["symbol"], options["interval"], options["market"])
            if row is None:
                self.stderr.write(f"no {options['market']} bars of {options['symbol']} {options['interval']}")
                return False
            files = [row]
        bar = ProgressBar("checking")
        reports = []
        for number, row in enumerate(files, start=1):
            reports.append(kline_file_check(row))
            bar(number, len(files))
        bar.finish()
        if options["json"]:
            self.stdout.write(json.dumps([_check_json(report) for report in reports]))
        else:
            for report in reports:
                verdict = "; ".join(report.problems) or "ok"
                self.stdout.write(f"{report.file.path}: {verdict}, {report.file.rows} bars")
                self._gaps(report.gaps)
        return not any(report.problems for report in reports)

    def _report(self, report: ImportReport, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(_import_json(report)))
            return
        for item in report.accepted:
            dropped = _lines(item.duplicate_lines)
            note = f", dropped identical duplicates at {dropped}" if item.duplicate_lines else ""
            self.stdout.write(f"{item.name}: {item.rows} bars{note}")
        for refusal in report.refused:
            self.stderr.write(f"{refusal.name}: refused, nothing of it was stored")
            for problem in refusal.problems:
                self.stderr.write(f"  {problem}")
            if refusal.more:
                self.stderr.write(f"  and {refusal.more} more")
        if report.stored is not None:
            row = report.stored
            span = f"{row.first_open_time:%Y-%m-%d %H:%M} to {row.last_open_time:%Y-%m-%d %H:%M}"
            self.stdout.write(
                f"{row.path}: {row.rows} bars ({report.new_rows} new), {span}, sha256 {row.sha256[:12]}"
            )
            self._gaps(kline_file_check(row).gaps)

    def _gaps(self, gaps: tuple[Gap, ...]) -> None:
        for gap in gaps[:_GAPS_SHOWN]:
            first, last = ns_to_datetime(gap.first_missing_ns), ns_to_datetime(gap.last_missing_ns)
            self.stdout.write(
                f"  gap: {gap.missing} bars missing, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
            )
        if len(gaps) > _GAPS_SHOWN:
            self.stdout.write(f"  and {len(gaps) - _GAPS_SHOWN} more gaps")


def _symbol(text: str) -> str:
    try:
        return split_symbol(text)[0]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> str:
    try:
        interval_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _lines(lines: tuple[int, ...]) -> str:
    shown = ", ".join(str(line) for line in lines[:_GAPS_SHOWN])
    more = len(lines) - _GAPS_SHOWN
    return f"line{'s' if len(lines) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")


def _file_json(row: KlineFile) -> dict[str, Any]:
    return {
        "symbol": row.symbol,
        "market": row.market,
        "interval": row.interval,
        "path": row.path,
        "sha256": row.sha256,
        "rows": row.rows,
        "first_open_time": row.first_open_time.isoformat(),
        "last_open_time": row.last_open_time.isoformat(),
        "gaps": row.gaps,
        "missing_bars": row.missing_bars,
        "source": row.source,
    }


def _import_json(report: ImportReport) -> dict[str, Any]:
    return {
        "accepted": [
            {"name": item.name, "rows": item.rows, "duplicate_lines": list(item.duplicate_lines)}
            for item in report.accepted
        ],
        "refused": [
            {
                "name": refusal.name,
                "problems": [{"line": p.line, "message": p.message} for p in refusal.problems],
                "more": refusal.more,
            }
            for refusal in report.refused
        ],
        "new_rows": report.new_rows,
        "stored": None if report.stored is None else _file_json(report.stored),
    }


def _check_json(report: CheckReport) -> dict[str, Any]:
    gaps = [
        {
            "first_missing": ns_to_datetime(gap.first_missing_ns).isoformat(),
            "last_missing": ns_to_datetime(gap.last_missing_ns).isoformat(),
            "missing": gap.missing,
        }
        for gap in report.gaps
    ]
    return {
        **_file_json(report.file),
        "ok": not report.problems,
        "problems": list(report.problems),
        "gaps": gaps,
    }
