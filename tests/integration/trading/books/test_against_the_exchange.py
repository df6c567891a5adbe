"""Traded on the paper exchange through the real client: every figure equals the exchange's ledger to the last digit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from nautilus_site.common.clock import now
from tests.factories.exchange import Exchange, FuturesExchange, running_exchange
from tests.factories.futures import Futures
from trading.domain.ports import TradeReport
from trading.models import Account, Fill, LedgerEntry, Order, SubBalance, SubPosition
from trading.services.books.verify import books_verify
from trading.services.controls import limits_install
from trading.services.execution.authorise import venue_order
from trading.services.execution.settle import order_settle
from trading.services.income import income_sweep
from trading.services.reconcile import account_reconcile
from universe.models import Instrument, Quote, Venue
from universe.services import instruments_sync

ZERO = Decimal(0)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A market that stands still, half a minute before a funding time."""
    day = (now() - timedelta(days=5)).strftime("%Y-%m-%d")  # the income is asked for as long as it is kept
    with running_exchange("BTCUSDT", "BNBUSDT", options=("--start", f"{day}T07:59:30")) as address:
        yield address


class Desk(Futures):
    """An account of ours at the running exchange."""

    exchange: Exchange

    def market(self, side: str, quantity: str, **changes: Any) -> Order:
        """Trade now: an immediate-or-cancel limit well through the market, sent once and settled."""
        bid, ask = self.exchange.touch()
        price = (ask * Decimal("1.01")) if side == "BUY" else (bid * Decimal("0.99"))
        order = self.order(
            side, quantity, str(price.quantize(Decimal("0.1"))), time_in_force="IOC", **changes
        )
        report = self.exchange.place(venue_order(order))
        told = order_settle(order_id=order.pk, report=report, trades=report.fills, source="response")
        if told.executed_quantity < report.executed_quantity:
            trades = self.trades(report.venue_order_id)
            told = order_settle(order_id=order.pk, report=report, trades=trades, source="query")
        assert told.executed_quantity > 0
        return told

    def trades(self, venue_order_id: int) -> list[TradeReport]:
        listed = self.exchange.venue.trades(self.instrument.symbol, from_id=None, start_ms=None)
        return [trade for trade in listed if trade.venue_order_id == venue_order_id]


def open_desk(exchange: Exchange, market: str, *, hedge: bool = False) -> Desk:
    from universe.adapters.binance import BinanceSpotMarketData, BinanceUsdmMarketData

    venue = Venue.objects.create(name=f"binance-{market}", market=market, environment="local")
    data: Any = BinanceSpotMarketData if market == "spot" else BinanceUsdmMarketData
    instruments_sync(venue, data(exchange.client))
    instrument = Instrument.objects.get(venue=venue, symbol="BTCUSDT")
    limits_install(actor="test")
    account = Account.objects.create(name=f"paper-{market}", venue=venue, hedge_mode=hedge)
    Quote.objects.create(
        instrument=Instrument.objects.get(venue=venue, symbol="BNBUSDT"), bid=599, ask=601, received_at=now()
    )
    run = account_reconcile(account_id=account.pk, venue=exchange.venue, trigger="periodic")
    assert run is not None
    desk = Desk(Account.objects.get(pk=account.pk), instrument)
    desk.exchange = exchange
    return desk


def ledger_of(exchange: Exchange) -> dict[str, Any]:
    account_id = exchange.account["account_id"]
    ledger: dict[str, Any] = exchange.control("GET", f"/ledger?account_id={account_id}")
    return ledger


def compare(desk: Desk, market: str) -> None:
    """Balances, fills, commissions and results of ours against the exchange's ledger; owners against the account."""
    exchange, account_id = desk.exchange, desk.exchange.account["account_id"]
    ledger = ledger_of(exchange)
    theirs: dict[str, Decimal] = {}
    for asset, row in ledger["balances"][account_id][market].items():
        held = Decimal(row["wallet"]) if market == "usdm" else Decimal(row["free"]) + Decimal(row["locked"])
        theirs[asset] = held
    ours = {row.asset: row.amount for row in desk.account.balances.all()}
    assert {a: v for a, v in ours.items() if v} == {a: v for a, v in theirs.items() if v}
    subs: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in SubBalance.objects.filter(account=desk.account):
        subs[row.asset] += row.amount
    assert {a: v for a, v in subs.items() if v} == {a: v for a, v in theirs.items() if v}
    told = {int(fill["trade_id"]): fill for fill in ledger["fills"] if fill["market"] == market}
    rows = Fill.objects.filter(account=desk.account)
    assert {row.trade_id for row in rows} == set(told)
    for row in rows:
        fill = told[row.trade_id]
        assert (row.price, row.quantity) == (Decimal(fill["price"]), Decimal(fill["qty"]))
        assert (row.commission, row.commission_asset) == (
            Decimal(fill["commission"]),
            fill["commission_asset"],
        )
        if market == "usdm":
            assert row.realized == Decimal(fill["realized_pnl"])
    assert books_verify(desk.account, full=True).differences == []


def test_longs_shorts_flips_and_two_owners_equal_the_exchanges_ledger(url: str) -> None:
    exchange = FuturesExchange(url)
    desk = open_desk(exchange, "usdm")
    plan = desk.plan({"a": "0.7", "b": "0.3"})
    desk.market("BUY", "0.131", plan=plan)
    compare(desk, "usdm")
    desk.market("SELL", "0.047", strategy="a")
    desk.market("SELL", "0.2", strategy="b")  # flips
    desk.market("SELL", "0.013")
    desk.market("BUY", "0.05", reduce_only=True, origin="protection")
    compare(desk, "usdm")
    (told,) = exchange.venue.positions("BTCUSDT")
    assert desk.position().quantity == told.quantity
    parts = SubPosition.objects.filter(position=desk.position())
    assert sum((part.quantity for part in parts), ZERO) == told.quantity
    realized = sum((Decimal(f["realized_pnl"]) for f in ledger_of(exchange)["fills"]), ZERO)
    assert desk.position().realized == realized
    desk.market("BUY", str(-told.quantity), strategy="b")
    assert exchange.venue.positions("BTCUSDT") == []
    assert (desk.position().quantity, desk.position().cost) == (0, 0)
    compare(desk, "usdm")


def test_hedge_mode_equals_the_exchanges_ledger(url: str) -> None:
    exchange = FuturesExchange(url)
    exchange.venue.set_hedge(True)
    desk = open_desk(exchange, "usdm", hedge=True)
    desk.market("BUY", "0.1", position_side="LONG", strategy="a")
    desk.market("SELL", "0.07", position_side="SHORT", strategy="b")
    desk.market("SELL", "0.04", position_side="LONG", strategy="a")
    desk.market("BUY", "0.07", position_side="SHORT", strategy="b")
    compare(desk, "usdm")
    told = {p.position_side: p.quantity for p in exchange.venue.positions("BTCUSDT")}
    assert told == {"LONG": desk.position("LONG").quantity}
    assert desk.position("SHORT").quantity == 0


def test_funding_passes_and_is_booked_once_to_the_last_digit(url: str) -> None:
    exchange = FuturesExchange(url)
    desk = open_desk(exchange, "usdm")
    desk.market("BUY", "0.3", strategy="a")
    desk.market("SELL", "0.1", strategy="b")
    exchange.advance(60)
    for _ in range(10):
        if income_sweep(desk.account, exchange.venue):
            break
        exchange.advance(5)
    assert income_sweep(desk.account, exchange.venue, deep=True) == 0
    paid = [row for row in ledger_of(exchange)["income"] if row.get("kind", row.get("type")) == "FUNDING_FEE"]
    booked = LedgerEntry.objects.filter(owner="account", kind="funding")
    assert paid
    assert sum((e.amount for e in booked), ZERO) == -desk.position().funding
    shares = {part.owner: part.funding for part in SubPosition.objects.all()}
    assert shares["a"] == -3 * shares["b"] or abs(shares["a"] + 3 * shares["b"]) < Decimal("1E-6")
    compare(desk, "usdm")


def test_spot_with_commission_in_bnb_equals_the_exchanges_ledger(url: str) -> None:
    exchange = Exchange(url, funds={"balances": {"USDT": "100000", "BTC": "1", "BNB": "5"}})
    desk = open_desk(exchange, "spot")
    exchange.client.signed_request(
        "POST",
        "/sapi/v1/bnbBurn",
        {"spotBNBBurn": "true"},
        timestamp_ms=exchange.venue.server_time_ms(),
        recv_window_ms=5000,
    )
    plan = desk.plan({"a": "0.5", "b": "0.5"})
    desk.market("BUY", "0.03113", plan=plan)
    desk.market("SELL", "0.01007", strategy="a")
    desk.market("BUY", "0.00211")
    compare(desk, "spot")
    assert set(Fill.objects.values_list("commission_asset", flat=True)) == {"BNB"}
    position = desk.position()
    parts = SubPosition.objects.filter(position=position)
    assert sum((part.quantity for part in parts), ZERO) == position.quantity
