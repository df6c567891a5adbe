"""The exporter reads accounts and has no way to an order: not in its modules, not with its key."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from tests.factories.exchange import ROOT, Exchange, running_exchange
from trading.adapters.binance.reader import AccountReader
from trading.adapters.binance.spot import BinanceSpot
from trading.daemons.exporter import AccountWatch
from trading.domain.errors import VenueRejected, VenueUnavailable
from trading.models import Account
from trading.services.credentials import credential_store, sealing_keys_install
from universe.adapters.binance import SpotClient, endpoints_for
from universe.models import Venue

SENDING = (
    "binance",  # the client library, whose classes can create orders
    "trading.adapters.binance.spot",
    "trading.adapters.binance.usdm",
    "trading.adapters.binance.signed",
    "trading.services.execution",
    "trading.services.orders",
    "trading.services.venues",
    "trading.tasks",
    "universe.adapters.binance.clients",
)
LOADED = """
import json, sys, django
django.setup()
import trading.management.commands.exporter
from nautilus_site.common.collectors import _factories
print(json.dumps({"modules": sorted(sys.modules), "collectors": sorted(_factories)}))
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


def loaded(*options: str) -> dict[str, list[str]]:
    """What a process of that kind has in memory once it is set up."""
    done = subprocess.run(
        [sys.executable, *options, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def offenders(modules: list[str]) -> list[str]:
    return [m for m in modules if any(m == name or m.startswith(f"{name}.") for name in SENDING)]


def test_no_code_that_can_send_is_ever_loaded_into_the_exporter() -> None:
    told = loaded("-X", "nautilus-exporter")
    assert offenders(told["modules"]) == []
    assert "trading" in told["collectors"], "it has figures to publish all the same"
    assert offenders(loaded()["modules"]), "the test sees them where they are"


@pytest.fixture
def read_only(url: str) -> tuple[Exchange, dict[str, str]]:
    exchange = Exchange(url)
    key = exchange.control(
        "POST",
        f"/accounts/{exchange.account['account_id']}/keys",
        {"permissions": {"read": True, "trade": False, "withdraw": False, "ip_restricted": True}},
    )
    return exchange, key


def test_the_venue_refuses_an_order_under_the_exporters_key(
    read_only: tuple[Exchange, dict[str, str]],
) -> None:
    exchange, key = read_only
    with_it = BinanceSpot(
        SpotClient(
            endpoints_for("local", local_url=exchange.url),
            api_key=key["api_key"],
            api_secret=key["api_secret"],
        )
    )
    with pytest.raises(VenueRejected) as refused:
        with_it.place(exchange.order(), timestamp_ms=with_it.server_time_ms(), recv_window_ms=2000)
    assert refused.value.code == -2015


def test_the_account_is_read_with_that_key(read_only: tuple[Exchange, dict[str, str]]) -> None:
    exchange, key = read_only
    reader = AccountReader(exchange.url, market="spot", api_key=key["api_key"], api_secret=key["api_secret"])
    reading = reader.account()
    assert reading.holdings == {"USDT": Decimal(100_000), "BTC": Decimal(1)}
    assert reading.used_weight is not None


def test_a_key_the_venue_does_not_know_is_an_error_with_its_code(url: str) -> None:
    reader = AccountReader(url, market="spot", api_key="nobody", api_secret="nothing")
    with pytest.raises(VenueUnavailable) as refused:
        reader.account()
    assert refused.value.code in (-2014, -2015)


def test_one_account_that_cannot_be_read_holds_up_no_other(
    db: None, read_only: tuple[Exchange, dict[str, str]], settings: pytest.FixtureRequest
) -> None:
    exchange, key = read_only
    settings.TESTNET_URL = exchange.url  # type: ignore[attr-defined]
    sealing_keys_install()
    venue = Venue.objects.create(name="binance-spot", market="spot", environment="local")
    Account.objects.create(name="a-without-a-key", venue=venue)
    account = Account.objects.create(name="paper", venue=venue)
    credential_store(
        account=account,
        purpose="exporter",
        api_key=key["api_key"],
        api_secret=key["api_secret"],
        actor="test",
    )
    registry = CollectorRegistry()
    assert AccountWatch(registry).read() == 1
    assert registry.get_sample_value("exporter_account_up", {"account": "paper"}) == 1
    assert registry.get_sample_value("exporter_account_up", {"account": "a-without-a-key"}) == 0
    # No price of BTC is known here: only the cash counts.
    assert registry.get_sample_value("exporter_account_equity_usd", {"account": "paper"}) == 100_000
