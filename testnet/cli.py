"""The command line."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from testnet import __version__
from testnet.account_setup import load_accounts_file
from testnet.errors import ApiError
from testnet.instruments import DEFAULT_SYMBOLS
from testnet.journal import DataDirectoryInUse
from testnet.opening import MarketOptions, open_exchange
from testnet.web.server import Server, ServerOptions

log = logging.getLogger("testnet")

EPILOG = """example:
  python -m testnet --port 9100 --speed 10 --catch-up --data-dir var/testnet --accounts accounts.json
"""


class StartRefused(Exception):
    """The exchange cannot start; the message says why in one sentence."""


def build_parser() -> argparse.ArgumentParser:
    """Every option."""
    parser = argparse.ArgumentParser(
        prog="python -m testnet",
        description="A Binance-compatible paper exchange (spot and USD-M futures) on one port.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=__version__)
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    add("--port", type=_port, default=9100, help="port for REST and WebSocket (9100); 0 picks a free one")
    add("--seed", type=int, default=1, help="seed of the generated market (1)")
    add("--speed", type=_speed, default=1.0, help="market seconds per wall second (1); 0 pauses")
    add("--start", type=_instant, help="market time at the first start, ISO 8601 (30 days before now)")
    add("--catch-up", action="store_true", help="drop to speed 1 when market time reaches now")
    add(
        "--symbols",
        nargs="+",
        type=str.upper,
        default=[],
        metavar="SYMBOL",
        help=f"symbols to list ({' '.join(DEFAULT_SYMBOLS)}, or all in the replay folder)",
    )
    perpetuals = parser.add_mutually_exclusive_group()
    perpetuals.add_argument(
        "--usdm-symbols",
        nargs="+",
        type=str.upper,
        metavar="SYMBOL",
        help="perpetuals to list (one for every spot symbol quoted in USDT or USDC)",
    )
    perpetuals.add_argument("--no-usdm", action="store_true", help="list no perpetuals")
    add(
        "--replay",
        type=Path,
        metavar="DIR",
        help="follow recorded candles SYMBOL_INTERVAL.csv[.gz] or trades SYMBOL_trades.csv[.gz]; "
        "perpetuals from DIR/usdm where it has them, rates from SYMBOL_fundingRate.csv",
    )
    add("--history-days", type=_days, default=3, help="days of one-minute history before the start (3)")
    add("--hourly-history-days", type=_days, default=60, help="days of hourly history (60)")
    add("--data-dir", type=Path, help="keep state here and continue from it")
    add("--accounts", type=Path, metavar="FILE", help="JSON list of accounts and keys to create at start")
    add("--faults", type=Path, metavar="FILE", help="JSON list of faults to inject from the start")
    add("--control", action="store_true", help="open the control API /testnet/v1 (loopback only)")
    add(
        "--control-token",
        type=Path,
        metavar="FILE",
        help="open the control API and guard it with the token in this file",
    )
    add("--no-spot-listen-key", action="store_true", help="refuse the withdrawn spot userDataStream")
    add("--no-rate-limits", action="store_true", help="count but never refuse; for load tests")
    add("--access-log", action="store_true", help="log every request")
    add("--process-name", default="nautilus-testnet", help="a label for process lists; changes nothing")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 0 stopped, 1 could not start."""
    options = build_parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        return _run(options)
    except StartRefused as error:
        log.error("cannot start: %s", error)
        return 1


def _run(options: argparse.Namespace) -> int:
    market = MarketOptions(
        seed=options.seed,
        speed=options.speed,
        start_ms=options.start,
        symbols=tuple(options.symbols),
        usdm_symbols=_perpetuals(options),
        replay=options.replay,
        data_dir=options.data_dir,
        catch_up=options.catch_up,
        minute_days=options.history_days,
        hour_days=max(options.hourly_history_days, options.history_days),
    )
    server_options = ServerOptions(
        host=options.host,
        port=options.port,
        control=options.control,
        control_token=_token(options.control_token),
        rate_limits=not options.no_rate_limits,
        access_log=options.access_log,
        spot_listen_key=not options.no_spot_listen_key,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(market, server_options, options.accounts, options.faults))


async def _serve(
    market: MarketOptions, options: ServerOptions, accounts: Path | None, faults: Path | None
) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        opened = open_exchange(market)
        server = Server(opened, options)
        if accounts is not None:
            created = load_accounts_file(opened.exchange, accounts)
            log.info("accounts file: %d created", created)
        if faults is not None:
            server.load_faults(faults)
        await server.start()
    # What is wrong with options and files is a ValueError of some kind.
    except (ValueError, DataDirectoryInUse, ApiError) as error:
        raise StartRefused(str(error)) from error
    except OSError as error:
        raise StartRefused(_why(error, options)) from error
    log.info(
        "listening on http://%s:%d, %d symbols, market time %s, speed %g",
        options.host,
        server.port,
        len(opened.exchange.listings()),
        _iso(opened.exchange.driver.next_ms),
        opened.exchange.clock.speed,
    )
    await stopped.wait()
    await server.stop()
    log.info("stopped at market time %s", _iso(opened.exchange.driver.next_ms))
    return 0


def _perpetuals(options: argparse.Namespace) -> tuple[str, ...] | None:
    if options.no_usdm:
        return ()
    return tuple(options.usdm_symbols) if options.usdm_symbols else None


def _why(error: OSError, options: ServerOptions) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {options.port} on {options.host} is in use"
    return str(error)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise StartRefused(f"control token: {error}") from error
    if not token:
        raise StartRefused(f"control token: {path} is empty")
    return token


def _iso(market_ms: int) -> str:
    return datetime.fromtimestamp(market_ms / 1000, UTC).isoformat(timespec="seconds")


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError("expected 0 to 65535")
    return number


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed <= 1_000_000:
        raise argparse.ArgumentTypeError("expected 0 to 1000000")
    return speed


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 3_650:
        raise argparse.ArgumentTypeError("expected 1 to 3650")
    return days


def _instant(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected an ISO 8601 time, was {text!r}") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def exit_code() -> None:
    """Entry point: end the process with `main`'s result."""
    code = main()
    # Worker threads may still be in an fsync of a file already synced; do not wait for them.
    sys.stderr.flush()
    os._exit(code)
