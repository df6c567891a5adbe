"""Turn a stream of signals into orders."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.daemons.executor import (
    Executor,
    OrderApi,
    Outcome,
    TokenRefused,
    follow_file,
    poll_url,
    read_lines,
)
from trading.domain.signals import SignalGate, SignalLimits
from trading.domain.values import normalise_symbol, written_decimal


class Command(BaseCommand):
    requires_system_checks = ()
    help = (
        "Turn signals into orders over the API, with a token and limits of its own; stopping it stops only it. "
        "A signal is one JSON object per line: id, at, symbol, side, quantity or quote_quantity (docs/API.md). "
        "Example: my_model | NAUTILUS_TOKEN=... manage.py executor --account paper-spot --symbols BTCUSDT "
        "--max-notional 500 --max-per-minute 10"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="the platform; default: the one of this home")
        parser.add_argument(
            "--token-file", help="file that holds the API token; default: the variable NAUTILUS_TOKEN"
        )
        parser.add_argument("--account", required=True, help="for signals that name none")
        parser.add_argument("--symbols", nargs="+", required=True, help="the only ones that are traded")
        parser.add_argument("--max-notional", required=True, help="of one order, quote currency")
        parser.add_argument("--max-per-minute", type=int, default=6, help="orders in any 60 s (default 6)")
        parser.add_argument("--max-age", type=float, default=10.0, help="of a signal, seconds (default 10)")
        parser.add_argument("--name", default="executor", help="part of each order's idempotency key")
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--follow", metavar="FILE", help="read what is appended to a file")
        source.add_argument("--poll", metavar="URL", help='ask an address that answers {"results": [...]}')
        parser.add_argument("--every", type=float, default=1.0, help="seconds between two polls (default 1)")
        parser.add_argument(
            "--from-start", action="store_true", help="with --follow: read the file's past, too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        token = self._token(options["token_file"])
        executor = Executor(
            OrderApi(options["url"] or _own_url(), token),
            SignalGate(self._limits(options)),
            account=options["account"],
            name=options["name"],
            tell=self._tell,
            stopping=stopping,
        )
        try:
            executor.run(self._signals(options, token, stopping))
        except TokenRefused as error:
            raise CommandError(f"the platform refuses the token: {error}") from None

    def _signals(self, options: dict[str, Any], token: str, stopping: threading.Event) -> Iterator[Any]:
        if options["follow"]:
            return follow_file(Path(options["follow"]), stopping, from_start=options["from_start"])
        if options["poll"]:
            return poll_url(options["poll"], stopping, token=token, every_s=max(0.2, options["every"]))
        return read_lines(sys.stdin.fileno(), stopping)

    def _limits(self, options: dict[str, Any]) -> SignalLimits:
        try:
            largest = written_decimal(options["max_notional"])
        except ValueError:
            raise CommandError(
                f"--max-notional: expected an amount, was {options['max_notional']!r}"
            ) from None
        if largest <= 0 or options["max_per_minute"] < 1 or options["max_age"] <= 0:
            raise CommandError("--max-notional, --max-per-minute and --max-age must be more than zero")
        try:
            symbols = frozenset(normalise_symbol(symbol) for symbol in options["symbols"])
        except ValueError as error:
            raise CommandError(f"--symbols: {error}") from None
        return SignalLimits(largest, options["max_per_minute"], options["max_age"], symbols)

    def _token(self, path: str | None) -> str:
        if path is not None:
            try:
                token = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise CommandError(f"--token-file: {error.strerror}: {path}") from None
        else:
            token = os.environ.get("NAUTILUS_TOKEN", "").strip()
        if not token:
            raise CommandError("no token: set NAUTILUS_TOKEN or give --token-file")
        return token

    def _tell(self, outcome: Outcome) -> None:
        self.stdout.write(json.dumps(outcome.members()))
        self.stdout.flush()


def _own_url() -> str:
    from django.conf import settings

    return f"http://{settings.BIND}:{settings.PORT}"
