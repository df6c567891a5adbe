"""Command line options that say what a run is of: strategy, bars, money and costs."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import FillMode
from trading.domain.clock import interval_ns
from trading.domain.values import decimal_of, split_symbol
from trading.services.backtests import BacktestRequest
from trading.services.backtests.limits import asked_limits


def add_bar_arguments(parser: CommandParser) -> None:
    """Add the options that choose stored bars."""
    parser.add_argument("--symbol", required=True, type=symbol, help="BTCUSDT; BTCUSDT.P is the perpetual")
    parser.add_argument("--interval", required=True, type=interval)
    parser.add_argument("--market", choices=("spot", "usdm"), help="default: what the symbol says, else spot")


def add_run_arguments(parser: CommandParser) -> None:
    """Add the options of a backtest that a piece of research takes too."""
    add_bar_arguments(parser)
    parser.add_argument("--start", type=time, help="first open time, e.g. 2022-01-01 (UTC)")
    parser.add_argument("--end", type=time, help="bars that open before this time")
    parser.add_argument("--param", nargs="+", action="extend", default=[], type=pair, metavar="k=v")
    parser.add_argument("--cash", type=positive, default=Decimal(100_000), help="default 100000")
    parser.add_argument(
        "--quantity",
        type=positive,
        help="base quantity at full exposure, in place of a fraction of the equity",
    )
    parser.add_argument("--allocation", type=positive, help="quote currency at full exposure, as live")
    parser.add_argument("--limits", metavar="ACCOUNT", default="", help="judge by the limits in force on it")
    parser.add_argument(
        "--limit",
        nargs="+",
        action="extend",
        default=[],
        type=pair,
        metavar="k=v",
        help="set for this run alone",
    )
    parser.add_argument("--fill", choices=[mode.value for mode in FillMode], default="next_open")
    parser.add_argument("--long-only", action="store_true", help="a negative target is flat")
    parser.add_argument("--fee-bps", type=rate, help="default 10 on spot, 5 on USD-M")
    parser.add_argument("--slippage-bps", type=rate, default=Decimal(0))
    parser.add_argument("--impact", type=rate, default=Decimal(0), help="factor of the square-root impact")
    parser.add_argument("--latency-bars", type=whole, default=0, help="bars an order is late by")
    parser.add_argument("--leverage", type=positive, default=Decimal(1), help="USD-M: exposure over equity")
    parser.add_argument(
        "--funding",
        metavar="FILE.csv|none",
        help="USD-M: a file time,rate[,mark_price], or none; default: what is stored (manage.py funding)",
    )


def market_of(options: dict[str, Any]) -> tuple[str, str]:
    """Return (symbol, market) of parsed options.

    Raises
    ------
    CommandError : the symbol is written for the other market; exit code 2.
    """
    name, named = options["symbol"]
    market = options["market"] or named or "spot"
    if named and market != named:
        raise CommandError(f"{name} written that way is on {named}, not {market}", returncode=2)
    return name, market


def request_of(strategy: str, options: dict[str, Any]) -> BacktestRequest:
    """Return the request that parsed options make.

    Raises
    ------
    CommandError : as `market_of`; a limit that does not exist; exit code 2.
    """
    name, market = market_of(options)
    try:
        limits = asked_limits({"account": options["limits"], "values": dict(options["limit"])})
    except ApplicationError as error:
        raise CommandError(f"--limit: {error.message}", returncode=2) from None
    return BacktestRequest(
        strategy=strategy,
        symbol=name,
        interval=options["interval"],
        market=market,
        start=options["start"],
        end=options["end"],
        params=dict(options["param"]),
        cash=options["cash"],
        quantity=options["quantity"],
        allocation=options["allocation"],
        limits=limits,
        fill=FillMode(options["fill"]),
        long_only=options["long_only"],
        fee_bps=options["fee_bps"],
        slippage_bps=options["slippage_bps"],
        impact=options["impact"],
        latency_bars=options["latency_bars"],
        leverage=options["leverage"],
        funding=None if options["funding"] in (None, "none") else Path(options["funding"]),
        stored_funding=options["funding"] is None,
    )


def command_line() -> str:
    """Return the command as it was typed, to be shown in a report; empty when a program called it."""
    return shlex.join(["manage.py", *sys.argv[1:]]) if Path(sys.argv[0]).name == "manage.py" else ""


def symbol(text: str) -> tuple[str, str | None]:
    """Return a symbol and the market its spelling names."""
    try:
        name, market = split_symbol(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, None if market is None else market.value


def interval(text: str) -> str:
    """Return an interval the venue has."""
    try:
        interval_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def time(text: str) -> datetime:
    """Return an aware time; UTC where no zone is named."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, was {text!r}") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def pair(text: str) -> tuple[str, str]:
    """Return (name, value) of `name=value`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected name=value, was {text!r}")
    return name, value


def rate(text: str) -> Decimal:
    """Return a number of zero or more."""
    try:
        number = decimal_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number of zero or more, was {text}")
    return number


def positive(text: str) -> Decimal:
    """Return a number above zero."""
    number = rate(text)
    if number == 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, was {text}")
    return number


def whole(text: str) -> int:
    """Return a whole number of zero or more."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number of zero or more, was {text!r}")
    return int(text)


def at_least_one(text: str) -> int:
    """Return a whole number above zero."""
    number = whole(text)
    if number == 0:
        raise argparse.ArgumentTypeError("expected at least 1, was 0")
    return number
