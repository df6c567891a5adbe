"""Two feed processes, one of them killed: no user event is lost and prices go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import Lease
from tests.factories.exchange import ROOT, running_exchange
from trading.adapters.binance.spot import BinanceSpot
from trading.adapters.binance.usdm import BinanceUsdm
from trading.domain.ports import VenueOrder
from trading.domain.values import OrderType, Side, TimeInForce
from trading.models import Account, VenueEvent
from trading.services.credentials import credential_open
from trading.services.demo import demo_install
from universe.adapters.binance import SpotClient, UsdmClient, endpoints_for
from universe.models import Bar, Quote, StreamState

pytestmark = pytest.mark.long

# Generous: the lease runs out after 6 s, the rest is for a machine that has other work to do.
TAKEN_OVER_WITHIN_S = 45.0
READY_WITHIN_S = 120.0
KINDS = {"paper-spot": "executionReport", "paper-usdm": "ORDER_TRADE_UPDATE"}


@dataclass
class FeedProcess:
    process: subprocess.Popen[bytes]
    log: Path

    def has_logged(self, event: str, times: int) -> bool:
        return self.log.read_text(errors="replace").count(event) >= times


def until(condition: Callable[[], Any], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextmanager
def feed_process(folder: Path, name: str, url: str) -> Iterator[FeedProcess]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "nautilus_site.settings.local",
        "NAUTILUS_HOME": str(folder),
        "DATABASE_URL": _test_database(),
        "TESTNET_PORT": url.rpartition(":")[2],
        "BINANCE_ENV": "local",
    }
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-X", "nautilus-feed", "manage.py", "feed"],
            cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield FeedProcess(process, log)
    finally:
        process.kill()
        process.wait(timeout=20)


def _test_database() -> str:
    address, mark, options = os.environ["DATABASE_URL"].partition("?")
    return f"{address.rpartition('/')[0]}/{connection.settings_dict['NAME']}{mark}{options}"


def venues(url: str) -> dict[str, BinanceSpot | BinanceUsdm]:
    endpoints = endpoints_for("local", local_url=url)
    found: dict[str, BinanceSpot | BinanceUsdm] = {}
    for account in Account.objects.all():
        api_key, secret = credential_open(account=account, purpose="executor")
        if account.market == "spot":
            found[account.name] = BinanceSpot(SpotClient(endpoints, api_key=api_key, api_secret=secret))
        else:
            found[account.name] = BinanceUsdm(UsdmClient(endpoints, api_key=api_key, api_secret=secret))
    return found


def placed_and_canceled(venue: BinanceSpot | BinanceUsdm, price: Decimal) -> str:
    order = VenueOrder(
        "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, Decimal("0.01"), price, uuid.uuid4().hex[:30]
    )
    venue.place(order, timestamp_ms=venue.server_time_ms(), recv_window_ms=5000)
    venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    return order.client_order_id


def told(account: str) -> set[tuple[str, str]]:
    """Client order id and status of every order event in an account's journal."""
    rows = VenueEvent.objects.filter(account__name=account, kind=KINDS[account]).values_list(
        "payload", flat=True
    )
    orders = [row.get("o", row) if isinstance(row.get("o"), dict) else row for row in rows]
    return {(str(o.get("C") or o["c"]), str(o["X"])) for o in orders}


def fresh_since(moment: Any) -> bool:
    return Quote.objects.filter(instrument__symbol="BTCUSDT", received_at__gt=moment).count() == 2


def test_a_killed_feed_loses_no_user_event_and_another_brings_prices_and_bars(
    transactional_db: None, tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.NAUTILUS_HOME = str(tmp_path)
    demo_install()
    with ExitStack() as stack:
        accounts = tmp_path / "testnet" / "accounts.json"
        url = stack.enter_context(
            running_exchange("BTCUSDT", speed="20", options=("--accounts", str(accounts)))
        )
        first = stack.enter_context(feed_process(tmp_path, "first", url))
        until(lambda: first.has_logged("user_stream_connected", 2), READY_WITHIN_S, "the first is connected")
        until(lambda: fresh_since(now() - timedelta(seconds=5)), READY_WITHIN_S, "prices on both markets")
        second = stack.enter_context(feed_process(tmp_path, "second", url))
        until(lambda: second.has_logged("user_stream_connected", 2), READY_WITHIN_S, "the second stands by")
        holders = dict(Lease.objects.filter(name__startswith="feed:").values_list("name", "holder"))
        assert {holder.rpartition(":")[2] for holder in holders.values()} == {str(first.process.pid)}

        reached = venues(url)
        price = (Quote.objects.get(instrument__market="spot").bid * Decimal("0.9")).quantize(Decimal(1))
        ids: dict[str, list[str]] = {name: [] for name in reached}
        killed_at = None
        for number in range(30):
            if number == 10:
                os.kill(first.process.pid, signal.SIGKILL)
                killed_at = now()
                started = time.monotonic()
            for name, venue in reached.items():
                ids[name].append(placed_and_canceled(venue, price))
        bars = Bar.objects.count()

        until(lambda: fresh_since(killed_at), TAKEN_OVER_WITHIN_S, "prices after the kill")
        with capsys.disabled():
            print(f"prices fresh again {time.monotonic() - started:.1f} s after kill -9")  # noqa: T201
        for name, names in ids.items():
            expected = {(client_id, status) for client_id in names for status in ("NEW", "CANCELED")}
            until(lambda e=expected, n=name: e <= told(n), 30, f"every event of {name}")  # type: ignore[misc]
        until(lambda: Bar.objects.count() > bars, TAKEN_OVER_WITHIN_S, "bars go on")
        until(
            lambda: (
                not StreamState.objects.filter(name__startswith="market:")
                .exclude(gap_since=None, connected_at__gt=killed_at)
                .exists()
            ),
            TAKEN_OVER_WITHIN_S,
            "the gap in the bars is closed",
        )
        assert not _holes()
        taken = dict(Lease.objects.filter(name__startswith="feed:").values_list("name", "holder"))
        assert {holder.rpartition(":")[2] for holder in taken.values()} == {str(second.process.pid)}


def _holes() -> list[str]:
    """Minutes missing between the first and the last stored bar of either market."""
    missing = []
    for instrument in {bar.instrument for bar in Bar.objects.select_related("instrument")}:
        times = list(
            Bar.objects.filter(instrument=instrument, interval="1m")
            .order_by("open_time")
            .values_list("open_time", flat=True)
        )
        missing += [f"{instrument} after {a}" for a, b in pairwise(times) if b - a != timedelta(seconds=60)]
    return missing
