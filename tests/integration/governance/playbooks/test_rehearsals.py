"""Rehearsals end to end: a fault in the running paper exchange, real orders through the real client, the marks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.services.playbooks import playbooks_install, rehearsal_start
from governance.tasks import guardian_tick
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest
from tests.factories.exchange import Exchange, running_exchange
from trading.models import Account
from trading.services.equity import equity_mark
from trading.services.execution.send import order_send
from trading.services.losses import losses_measure
from trading.services.orders import OrderDenied
from trading.services.reconcile import account_reconcile
from universe.adapters.binance import BinanceSpotMarketData
from universe.models import Instrument, Quote, StreamState
from universe.services import instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


class Floor:
    """A desk that trades on the running exchange, and what other processes would do for it meanwhile."""

    def __init__(self, desk: Desk, exchange: Exchange) -> None:
        self.desk, self.exchange = desk, exchange

    def look(self) -> None:
        """Hear of the market and of the account as they are."""
        bid, ask = self.exchange.touch()
        moment = now()
        Quote.objects.update_or_create(
            instrument=self.desk.btc,
            defaults={"bid": bid, "ask": ask, "market_time": moment, "received_at": moment},
        )
        StreamState.objects.update(last_message_at=moment)
        Account.objects.update(reconciled_at=moment)
        equity_mark()
        losses_measure()

    def order(self, side: str = "BUY", quantity: str = "0.001") -> str:
        """One order at the market: how it stands, or the code our rails denied it with."""
        self.look()
        try:
            order = self.desk.submit(side, quantity, type="MARKET")
        except OrderDenied as denied:
            return str(denied.code)
        authorised = self.desk.authorise(order)
        assert authorised is not None
        order_send(authorised=authorised, venue=self.desk.venue, venue_name="binance-spot")
        return str(self.desk.fresh(order).status)

    def until(self, done: Callable[[], bool], step: Callable[[], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it did not happen in time"
            step()
            guardian_tick()


@pytest.fixture
def floor(db: None, url: str, settings: Any) -> Iterator[Floor]:
    from tests.factories.trading import trading_desk

    settings.TESTNET_URL = url
    desk = trading_desk(opened=False, symbols=("BTCUSDT",))
    exchange = Exchange(url)
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account.refresh_from_db()
    playbooks_install(actor="test")
    desk.limit(
        near_duplicate_window=0, clock_max_age=600, orders_per_minute=1000, orders_per_minute_strategy=1000,
        repeated_executions=1000, max_drawdown=1, daily_loss=10**9,
    )  # fmt: skip
    floor = Floor(desk, exchange)
    floor.look()
    yield floor
    exchange.control("DELETE", "/faults")


@pytest.mark.parametrize("name", ["venue_lag", "reject_spike", "drawdown", "daily_loss"])
def test_a_rehearsed_fault_is_noticed_acted_on_seen_to_work_and_marked(
    name: str, floor: Floor, risk_officer: Any
) -> None:
    Playbook.objects.exclude(name=name).update(is_armed=False)
    Playbook.objects.filter(name="daily_loss").update(threshold=500.0)
    assert floor.order() == "FILLED"
    guardian_tick()
    assert Incident.objects.count() == 0
    row = rehearsal_start(name=name, actor=risk_officer, reason="drill")
    with pytest.raises(Conflict, match="one fault at a time"):
        rehearsal_start(name=name, actor=risk_officer, reason="drill")
    if name in ("drawdown", "daily_loss"):
        floor.exchange.advance(8)
        floor.until(lambda: Incident.objects.exists(), floor.look)
    else:
        floor.until(lambda: Incident.objects.exists(), floor.order)
    assert floor.order() in ("BLACKOUT", "TRADING_HALTED", "RATE_LIMITED")
    floor.until(lambda: Rehearsal.objects.get().state == "scored", floor.look)
    row.refresh_from_db()
    assert row.score == 100, row.findings
    assert row.incident is not None
    assert row.incident.is_rehearsal
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"verified"}
    asked = set(ChangeRequest.objects.filter(state="pending").values_list("kind", flat=True))
    assert (
        asked
        == {
            "venue_lag": {"blackout.end"},
            "reject_spike": {"blackout.end", "limit.loosen"},
            "drawdown": {"blackout.end", "limit.loosen"},
            "daily_loss": {"trading_state.lower"},
        }[name]
    )
    assert floor.exchange.control("GET", "/faults") in ([], {"faults": []})
    with pytest.raises(Conflict, match="open already"):
        rehearsal_start(name=name, actor=risk_officer, reason="again")


def test_a_fault_nobody_notices_is_marked_so(floor: Floor, risk_officer: Any) -> None:
    Playbook.objects.exclude(name="venue_lag").update(is_armed=False)
    row = rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")
    Rehearsal.objects.update(deadline_at=now())
    guardian_tick()
    row.refresh_from_db()
    assert (row.state, row.score) == ("scored", 5), "the fault is out again: nothing else is earned"
    assert row.findings[0]["said"] == "it was not detected"


def test_what_no_fault_leads_to_cannot_be_rehearsed(floor: Floor, risk_officer: Any) -> None:
    with pytest.raises(Conflict, match="no fault of the paper exchange"):
        rehearsal_start(name="corr_spike", actor=risk_officer, reason="drill")
    assert Rehearsal.objects.count() == 0


def test_an_exchange_that_is_away_starts_no_rehearsal(floor: Floor, risk_officer: Any, settings: Any) -> None:
    settings.TESTNET_URL = "http://127.0.0.1:9"
    with pytest.raises(Conflict, match="cannot be reached"):
        rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")
    assert Rehearsal.objects.count() == 0
