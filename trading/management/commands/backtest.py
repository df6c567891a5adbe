"""`manage.py backtest`: one strategy on stored bars."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import FillMode
from trading.domain.clock import interval_ns, ns_to_datetime
from trading.domain.report.from_backtest import run_from_backtest, summary_of
from trading.domain.statistics import Summary
from trading.domain.values import decimal_of, split_symbol
from trading.services.backtests import (
    ENGINES,
    BacktestRequest,
    Finished,
    Prepared,
    backtest_prepare,
    backtest_run,
)
from trading.services.reports import report_write
from universe.management.progress import ProgressBar

EXAMPLES = """examples:
  manage.py klines import BTCUSDT_1h.csv.gz --symbol BTCUSDT --interval 1h
  manage.py backtest moving_average --symbol BTCUSDT --interval 1h --param fast=20 slow=50
  manage.py backtest moving_average --symbol BTCUSDT --interval 1h --quantity 0.5 --fee-bps 10 --json
  manage.py backtest my_strategy.py:MyStrategy --symbol BTCUSDT --interval 1h --report report.html

exit codes: 0 done, 1 refused or failed, 2 usage"""


class Command(BaseCommand):
    help = "Run a strategy over stored bars through the rails, the sizing and the books of live trading."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="a built-in name, or path/to/file.py:Class")
        parser.add_argument(
            "--symbol", required=True, type=_symbol, help="BTCUSDT; BTCUSDT.P is the perpetual"
        )
        parser.add_argument("--interval", required=True, type=_interval)
        parser.add_argument(
            "--market", choices=("spot", "usdm"), help="default: what the symbol says, else spot"
        )
        parser.add_argument("--start", type=_time, help="first open time, e.g. 2022-01-01 (UTC)")
        parser.add_argument("--end", type=_time, help="bars that open before this time")
        parser.add_argument("--param", nargs="+", action="extend", default=[], type=_pair, metavar="k=v")
        parser.add_argument("--cash", type=_positive, default=Decimal(100_000), help="default 100000")
        parser.add_argument(
            "--quantity",
            type=_positive,
            help="base quantity at full exposure, in place of a fraction of the equity",
        )
        parser.add_argument("--fill", choices=[mode.value for mode in FillMode], default="next_open")
        parser.add_argument("--long-only", action="store_true", help="a negative target is flat")
        parser.add_argument("--fee-bps", type=_rate, help="default 10 on spot, 5 on USD-M")
        parser.add_argument("--slippage-bps", type=_rate, default=Decimal(0))
        parser.add_argument(
            "--impact", type=_rate, default=Decimal(0), help="factor of the square-root impact"
        )
        parser.add_argument("--latency-bars", type=int, default=0, help="bars an order is late by")
        parser.add_argument(
            "--leverage", type=_positive, default=Decimal(1), help="USD-M: exposure over equity"
        )
        parser.add_argument("--funding", type=Path, metavar="FILE.csv", help="USD-M: time,rate[,mark_price]")
        parser.add_argument("--engine", choices=ENGINES, default="auto", help="the result is the same")
        parser.add_argument(
            "--checkpoint", type=Path, help="Ctrl-C leaves the run here; the next call goes on"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report")

    def handle(self, *args: Any, **options: Any) -> None:
        symbol, named = options["symbol"]
        market = options["market"] or named or "spot"
        if named and market != named:
            raise CommandError(f"{symbol} written that way is on {named}, not {market}", returncode=2)
        bar = ProgressBar(f"backtest {symbol} {options['interval']}")
        try:
            prepared = backtest_prepare(self._request(symbol, market, options))
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
        members = _members(options["strategy"], prepared, finished, statistics)
        if options["json"]:
            self.stdout.write(json.dumps(members, allow_nan=False))
        else:
            self._table(members, finished, statistics)
        if options["report"] is not None:
            run = run_from_backtest(finished.result, f"{options['strategy']} {symbol} {options['interval']}")
            report_write(options["report"], [run], title=f"Backtest of {options['strategy']}")
        if not finished.result.complete:
            raise CommandError("stopped before the last bar; the figures are those of the part that was run")

    def _request(self, symbol: str, market: str, options: dict[str, Any]) -> BacktestRequest:
        return BacktestRequest(
            strategy=options["strategy"],
            symbol=symbol,
            interval=options["interval"],
            market=market,
            start=options["start"],
            end=options["end"],
            params=dict(options["param"]),
            cash=options["cash"],
            quantity=options["quantity"],
            fill=FillMode(options["fill"]),
            long_only=options["long_only"],
            fee_bps=options["fee_bps"],
            slippage_bps=options["slippage_bps"],
            impact=options["impact"],
            latency_bars=options["latency_bars"],
            leverage=options["leverage"],
            funding=options["funding"],
        )

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


def _members(strategy: str, prepared: Prepared, finished: Finished, statistics: Summary) -> dict[str, Any]:
    result, elapsed = finished.result, finished.elapsed_s
    series = result.series[0]
    return {
        "strategy": strategy,
        "symbol": series.symbol,
        "interval": series.interval,
        "bars": len(series),
        "start": ns_to_datetime(int(series.open_ns[0])).isoformat(),
        "end": ns_to_datetime(int(series.close_ns[-1])).isoformat(),
        "params": dict(prepared.params),
        "trades": len(result.trips),
        "final_equity": statistics.final_equity,
        "total_return": statistics.total_return,
        "max_drawdown": statistics.max_drawdown,
        "sharpe": statistics.sharpe.value,
        "win_rate": statistics.trades.win_rate.value,
        "fees": statistics.fees,
        "exposure": statistics.activity.time_in_market.value,
        "elapsed_s": round(elapsed, 6),
        "bars_per_s": round(len(series) / elapsed) if elapsed > 0 else None,
        "equity_sha256": result.equity_sha256,
    }


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


def _symbol(text: str) -> tuple[str, str | None]:
    try:
        symbol, market = split_symbol(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return symbol, None if market is None else market.value


def _interval(text: str) -> str:
    try:
        interval_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, was {text!r}") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected name=value, was {text!r}")
    return name, value


def _positive(text: str) -> Decimal:
    number = _rate(text)
    if number == 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, was {text}")
    return number


def _rate(text: str) -> Decimal:
    try:
        number = decimal_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number of zero or more, was {text}")
    return number
