"""The exporter: the read-only half of the pair. It publishes account and market metrics and has no way to trade.

Three walls: this module's imports lead to no code that can send (a test looks), its key may only read (the venue
refuses an order under it), and in its process no service that decides is ever loaded.
"""

from __future__ import annotations

import signal
import threading
import time
from decimal import Decimal
from types import FrameType
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from nautilus_site.common.collectors import RegisteredCollectors
from nautilus_site.common.errors import ApplicationError
from trading.adapters.binance.reader import AccountReader, AccountReading
from trading.domain.errors import VenueUnavailable
from trading.models import Account, Credential
from trading.selectors.marks import marks_read
from trading.services.credentials import credential_open
from trading.services.heartbeats import heartbeat

log = structlog.get_logger(__name__)
HEARTBEAT_S: Final = 2.0
READ_EVERY_S: Final = 15.0
CASH: Final = "USDT"


class AccountWatch:
    """Reads every account at its venue with the exporter's own keys and keeps what it saw as gauges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["account"]
        self._up = Gauge(
            "exporter_account_up",
            "1 while the venue answers the exporter's key.",
            labels,
            registry=registry,
        )
        self._equity = Gauge(
            "exporter_account_equity_usd",
            "What the venue says the account holds, at our prices; assets without a price are left out.",
            labels,
            registry=registry,
        )
        self._read_at = Gauge(
            "exporter_account_read_epoch",
            "When the venue last answered, epoch seconds.",
            labels,
            registry=registry,
        )
        self._readers: dict[int, tuple[str, AccountReader]] = {}
        self._wait_until: dict[int, float] = {}

    def read(self) -> int:
        """Read every account once; returns how many answered. One that fails holds up no other."""
        answered = 0
        for account in Account.objects.select_related("venue").filter(is_active=True):
            if self._wait_until.get(account.pk, 0.0) > time.monotonic():
                continue
            try:
                reading = self._reader(account).account()
            except (VenueUnavailable, ApplicationError) as error:
                wait = getattr(error, "retry_after_s", None)
                self._wait_until[account.pk] = time.monotonic() + (wait or 0.0)
                self._up.labels(account.name).set(0)
                log.warning("exporter_account_not_read", account=account.name, error=str(error)[:200])
                continue
            self._up.labels(account.name).set(1)
            self._read_at.labels(account.name).set(time.time())
            self._equity.labels(account.name).set(float(_worth(account, reading)))
            answered += 1
        return answered

    def _reader(self, account: Account) -> AccountReader:
        key, secret = credential_open(account=account, purpose=Credential.Purpose.EXPORTER)
        known = self._readers.get(account.pk)
        if known is None or known[0] != key:
            reader = AccountReader(
                _base_url(account.market), market=account.market, api_key=key, api_secret=secret
            )
            self._readers[account.pk] = known = (key, reader)
        return known[1]


def _worth(account: Account, reading: AccountReading) -> Decimal:
    """Holdings at the middle of bid and ask, in the cash asset."""
    marks = marks_read()
    total = reading.unrealized
    for asset, amount in reading.holdings.items():
        price = marks.of_asset(account.venue_id, asset, CASH)
        total += amount * price if price is not None else Decimal(0)
    return total


def _base_url(market: str) -> str:
    urls = {
        "local": (settings.TESTNET_URL, settings.TESTNET_URL),
        "testnet": ("https://testnet.binance.vision", "https://testnet.binancefuture.com"),
        "demo": ("https://demo-api.binance.com", "https://demo-fapi.binance.com"),
        "live": ("https://api.binance.com", "https://fapi.binance.com"),
    }
    return urls[settings.BINANCE_ENV][market == "usdm"]


def run() -> None:
    """Serve `/metrics` on EXPORTER_PORT until SIGTERM."""
    registry = CollectorRegistry()
    registry.register(RegisteredCollectors())
    watch = AccountWatch(registry)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server, thread = start_http_server(settings.EXPORTER_PORT, addr=settings.BIND, registry=registry)
    log.info("exporter_ready", port=settings.EXPORTER_PORT)
    read_at = float("-inf")
    while not stopping.wait(HEARTBEAT_S):
        try:
            close_old_connections()
            heartbeat(kind="exporter")
            if time.monotonic() - read_at >= READ_EVERY_S:
                read_at = time.monotonic()
                watch.read()
        except DatabaseError as error:
            log.warning("exporter_heartbeat_failed", error=type(error).__name__)
    server.shutdown()
    thread.join(timeout=2)
