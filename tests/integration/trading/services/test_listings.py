"""A symbol listed at the paper exchange while it runs: noticed, given to the sniper, bought, guarded, and sold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest, OutboxEvent, User
from tests.factories.exchange import Exchange, running_exchange
from trading.domain.orders import OPEN
from trading.models import (
    Bracket,
    Ceiling,
    Decision,
    ListingGrant,
    ObservedStep,
    Order,
    Position,
    Strategy,
    StrategyInstance,
    SymbolAllowance,
)
from trading.services.parity import parity_check
from trading.services.strategies import ListingTerms, grant_change, listing_grant_change, listing_take_up
from trading.services.strategies.listings import (
    apply_listing_grant,
    listing_grant_clean,
    listing_venues,
    listings_due,
)
from universe.adapters.binance import BinanceSpotMarketData
from universe.models import Instrument, Listing, Quote
from universe.services import bars_backfill, instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk

SYMBOL = "NEWUSDT"
PARAMS: dict[str, Any] = {"enabled": True, "spread": 0.2, "depth_quote": 1.0, "risk": 0.02, "stop": 0.1}
TERMS = ListingTerms(Decimal(2000), 2)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


class Sniping:
    """A desk on the exchange whose strategy `trend` is a sniper; what feed and workers do, by hand."""

    def __init__(self, desk: Desk, exchange: Exchange) -> None:
        self.desk, self.exchange = desk, exchange
        self.market = BinanceSpotMarketData(exchange.client)
        self.strategy = desk.strategies["trend"]
        self.strategy.kind, self.strategy.parameters = "listing_sniper", PARAMS
        self.strategy.save()
        StrategyInstance.objects.all().delete()

    def grant(self, terms: ListingTerms = TERMS) -> None:
        ListingGrant.objects.update_or_create(
            strategy=self.strategy,
            account=self.desk.account,
            defaults={
                "allocation": terms.allocation, "per_day": terms.per_day, "granted_by": "two people",
                "changed_at": now(),
            },
        )  # fmt: skip

    def list_symbol(self, price: str = "10") -> None:
        self.exchange.control("POST", "/symbols", {"symbol": SYMBOL, "action": "list", "price": price})

    def delist(self) -> None:
        self.exchange.control("POST", "/symbols", {"symbol": SYMBOL, "action": "delist"})

    def watch(self) -> None:
        """The task that looks for listings, and the hint it sends."""
        for venue in listing_venues():
            instruments_sync(venue, self.market)
        for listing_id in listings_due():
            listing_take_up(listing_id=listing_id)

    @property
    def instrument(self) -> Instrument:
        return Instrument.objects.get(symbol=SYMBOL)

    @property
    def instance(self) -> StrategyInstance:
        return StrategyInstance.objects.select_related("strategy", "instrument").get(
            strategy=self.strategy, instrument__symbol=SYMBOL
        )

    def pass_seconds(self, seconds: int) -> None:
        self.exchange.advance(seconds)

    def first_trade(self) -> None:
        """Until the new symbol has traded: on a random market some seconds have no trade."""
        for _ in range(20):
            self.pass_seconds(3)
            if any(bar.trades for bar in self.market.klines(SYMBOL, "1s", start_ms=0, end_ms=None, limit=60)):
                return
        raise AssertionError("a minute without a trade")

    def look(self) -> bool:
        """What the feed stores of the book, and the step its hint sets off."""
        from trading.domain.clock import ms_to_ns, ns_to_datetime
        from trading.services.strategies import book_step

        book = self.market.book_ticker(SYMBOL)
        clock = self.exchange.control("GET", "/clock")["market_ms"]
        Quote.objects.update_or_create(
            instrument=self.instrument,
            defaults={
                "bid": book.bid, "ask": book.ask, "bid_quantity": book.bid_size, "ask_quantity": book.ask_size,
                "market_time": ns_to_datetime(ms_to_ns(clock)), "received_at": now(),
            },
        )  # fmt: skip
        StrategyInstance.objects.filter(instrument=self.instrument).update(
            stepped_at=now() - timedelta(seconds=1)
        )
        return book_step(instance_id=self.instance.pk)

    def bars(self) -> None:
        """What the feed stores of closed bars, and the step at them."""
        from trading.services.strategies import strategy_step

        bars_backfill(self.instrument, "1m", self.market, count=10)
        strategy_step(instance_id=self.instance.pk)

    def work(self, rounds: int = 3) -> None:
        """Plan, send, hear, guard: what the workers do of an account."""
        from trading.services.brackets import bracket_step, brackets_open
        from trading.services.brackets.sweeping import strategies_guard
        from trading.services.execution.authorise import order_authorise
        from trading.services.execution.cancel import order_cancel
        from trading.services.execution.resolve import order_resolve
        from trading.services.execution.send import order_send
        from trading.services.execution.settle import order_settle
        from trading.services.execution.trades import report_trades
        from trading.services.planning import plan_refresh

        desk = self.desk
        for _ in range(rounds):
            plan_refresh(account_id=desk.account.pk, instrument_id=self.instrument.pk)
            strategies_guard(desk.account.pk)
            for bracket_id in brackets_open(desk.account.pk):
                bracket_step(bracket_id=bracket_id)
            for order in Order.objects.filter(status="RESERVED").order_by("pk"):
                authorised = order_authorise(
                    order_id=order.pk, held=desk.lease(), venue_time_ms=desk.venue.server_time_ms()
                )
                if authorised is not None:
                    order_send(authorised=authorised, venue=desk.venue, venue_name=desk.venue_row.name)
            for order in Order.objects.filter(cancel_requested_at__isnull=False, ended_at=None):
                order_cancel(order_id=order.pk, venue=desk.venue)
            for order in Order.objects.select_related("instrument").filter(
                status__in=[s.value for s in OPEN]
            ):
                if order.status in ("SENDING", "UNKNOWN"):
                    order_resolve(order_id=order.pk, venue=desk.venue)
                    continue
                report = desk.venue.query(SYMBOL, client_order_id=order.client_order_id)
                if report is not None:
                    trades = report_trades(order, report, desk.venue)
                    order_settle(order_id=order.pk, report=report, trades=trades, source="stream")

    def held(self) -> Decimal:
        row = Position.objects.filter(account=self.desk.account, instrument=self.instrument).first()
        return row.quantity if row else Decimal(0)


@pytest.fixture
def sniping(new_desk: Callable[..., Desk], url: str) -> Iterator[Sniping]:
    from trading.services.reconcile import account_reconcile

    exchange = Exchange(url)
    desk = new_desk(opened=False, symbols=("BTCUSDT",))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account.refresh_from_db()
    bid, ask = exchange.touch()
    Quote.objects.filter(instrument=desk.btc).update(bid=bid, ask=ask)
    desk.measure()
    rig = Sniping(desk, exchange)
    yield rig
    rig.delist()


def test_a_listing_is_bought_with_a_stop_at_the_exchange_and_sold_when_its_time_is_up(
    sniping: Sniping,
) -> None:
    sniping.strategy.parameters = {**PARAMS, "hold_s": 120.0}
    sniping.strategy.save()
    sniping.grant()
    sniping.list_symbol()
    sniping.first_trade()
    sniping.watch()
    listing = Listing.objects.get()
    assert listing.opened_at is not None
    (event,) = OutboxEvent.objects.filter(topic="listings")
    assert event.data["symbol"] == SYMBOL
    instance = sniping.instance
    assert (instance.allocation, instance.steps_at_books, instance.state) == (2000, True, None)
    assert SymbolAllowance.objects.filter(
        account=sniping.desk.account, instrument=sniping.instrument
    ).exists()

    assert sniping.look()
    assert ObservedStep.objects.get().trigger == "listing"
    sniping.work(1)
    assert not Order.objects.exists(), "too early, and its first price is not known"
    while sniping.instance.target in (None, 0.0):
        sniping.pass_seconds(5)
        sniping.bars()
        sniping.look()
        assert sniping.instance.state[5] == 0 or sniping.instance.target, sniping.instance.state
    decision = Decision.objects.order_by("-pk")[0]
    assert decision.reason == "ENTRY"
    assert decision.features["listing_age_s"] <= 180
    sniping.work()
    assert sniping.held() > 0
    spent = sniping.held() * Decimal(str(decision.features["entry"]))
    assert spent <= 2000 * Decimal("0.2") * Decimal("1.01"), "a fifth of its capital: what its stop allows"

    sniping.look()
    sniping.work()
    assert sniping.instance.state[0] == "holding"
    bracket = Bracket.objects.get()
    stops = [order for order in sniping.desk.venue.open_orders(SYMBOL) if order.stop_price]
    assert stops, f"nothing guards it at the exchange: {bracket.state}"
    assert abs(bracket.stop_price - Decimal(str(sniping.instance.protection["stop"]))) < Decimal("0.1")

    sniping.pass_seconds(125)
    sniping.bars()
    sniping.look()
    assert Decision.objects.order_by("-pk")[0].reason in ("TIME_STOP", "STOP", "SECOND_RUNG")
    for _ in range(4):
        sniping.work()
    assert sniping.held() < sniping.instrument.to_domain().step_size * 20
    (report,) = parity_check(strategy=sniping.strategy.name)
    assert report.comparison.differences == ()
    assert report.comparison.same == ObservedStep.objects.count()


def test_found_late_it_is_left_alone_with_the_seconds_it_was_late(sniping: Sniping) -> None:
    sniping.grant()
    sniping.list_symbol()
    sniping.pass_seconds(200)
    sniping.watch()
    sniping.look()
    decision = Decision.objects.get()
    assert (decision.target, decision.reason) == (0.0, "LATE")
    assert decision.features["late_s"] == pytest.approx(decision.features["listing_age_s"] - 180)
    assert decision.features["late_s"] >= 20
    sniping.work()
    assert not Order.objects.exists()


def test_first_looked_at_after_its_first_bars_it_still_counts_from_the_first_price(sniping: Sniping) -> None:
    sniping.grant()
    sniping.list_symbol()
    sniping.pass_seconds(125)
    sniping.watch()
    bars_backfill(sniping.instrument, "1m", sniping.market, count=10)
    assert not sniping.look(), "the bars come first"
    sniping.bars()
    first = sniping.instrument.bars.filter(interval="1m").order_by("open_time")[0]
    assert Decimal(str(sniping.instance.state[1])) == first.open
    assert Decision.objects.order_by("-pk")[0].reason != "BASELINE_UNKNOWN"


def test_without_a_grant_nothing_is_taken_up(sniping: Sniping) -> None:
    sniping.list_symbol()
    sniping.first_trade()
    instruments_sync(sniping.desk.venue_row, sniping.market)
    assert Listing.objects.get().opened_at is not None
    assert (listing_venues(), listings_due()) == ([], [])
    assert listing_take_up(listing_id=Listing.objects.get().pk) == []
    assert not StrategyInstance.objects.exists()
    assert not SymbolAllowance.objects.filter(instrument=sniping.instrument).exists()


def _listing(desk: Desk, symbol: str, **changes: Any) -> Listing:
    """A listing as the sync leaves it, without an exchange."""
    row = desk.btc
    moment = now()
    new = Instrument.objects.create(
        venue=row.venue, symbol=symbol, market="spot", base_asset=symbol[:3], quote_asset=symbol[3:],
        status="TRADING", filters=row.filters, first_seen_at=moment, updated_at=moment, listed_at=moment,
    )  # fmt: skip
    values = {
        "seen_at": moment, "missed_at": moment - timedelta(seconds=15), "listed_at": moment,
        "opened_at": moment,
    }  # fmt: skip
    return Listing.objects.create(instrument=new, **{**values, **changes})


@pytest.fixture
def waiting(desk: Desk) -> Desk:
    strategy = desk.strategies["trend"]
    strategy.kind, strategy.parameters = "listing_sniper", {"enabled": True}
    strategy.save()
    ListingGrant.objects.create(
        strategy=strategy, account=desk.account, allocation=100, per_day=2, changed_at=now()
    )
    return desk


def test_a_listing_is_taken_up_once_and_audited(waiting: Desk) -> None:
    listing = _listing(waiting, "AAAUSDT")
    assert listings_due() == [listing.pk]
    (instance,) = listing_take_up(listing_id=listing.pk)
    assert instance.in_force_until is not None
    assert listing_take_up(listing_id=listing.pk) == []
    assert listings_due() == []
    entry = AuditEntry.objects.filter(action="strategy.listing_taken_up").get()
    assert entry.after["symbol"] == "AAAUSDT"


def test_a_listing_gets_no_more_than_somebody_left_the_strategy(waiting: Desk, risk_officer: User) -> None:
    strategy = waiting.strategies["trend"]
    for place, left in zip(strategy.instances.order_by("pk"), (3000, 2960, 3000), strict=True):
        grant_change(
            instance=place, weight=place.weight, allocation=Decimal(left), actor=risk_officer, reason="less"
        )
    StrategyInstance.objects.filter(strategy=strategy, allocation=2960).update(
        allocation=2900
    )  # by the machine
    (instance,) = listing_take_up(listing_id=_listing(waiting, "AAAUSDT").pk)
    assert instance.allocation == 60, "of the 100 it is granted for each"
    assert listing_take_up(listing_id=_listing(waiting, "BBBUSDT").pk) == []
    assert Ceiling.objects.get().most == 8960


def test_no_more_are_taken_up_in_a_day_than_were_granted(waiting: Desk) -> None:
    taken = [listing_take_up(listing_id=_listing(waiting, f"{c * 3}USDT").pk) for c in "ABC"]
    assert [len(one) for one in taken] == [1, 1, 0]


def test_a_listing_given_up_unbought_leaves_its_place_and_one_that_was_bought_does_not(waiting: Desk) -> None:
    from trading.domain.strategies.listing_sniper import DONE, HOLDING, SniperState

    (first,), (second,) = (listing_take_up(listing_id=_listing(waiting, f"{c * 3}USDT").pk) for c in "AB")
    third = _listing(waiting, "CCCUSDT").pk
    for phase in (HOLDING, DONE):  # not yet over; over with an order that may still trade
        first.state = list(SniperState(phase=phase, reason="LATE"))
        first.save()
        order = waiting.submit("BUY", "0.001", strategy=first.strategy)
        Order.objects.filter(pk=order.pk).update(instrument=first.instrument)
        assert listing_take_up(listing_id=third) == []
        Order.objects.filter(pk=order.pk).update(ended_at=now(), status="CANCELED")
    Order.objects.update(executed_quantity=Decimal("0.0001"))
    assert listing_take_up(listing_id=third) == [], "it was bought, and has been sold since"
    Order.objects.update(executed_quantity=0)
    (instance,) = listing_take_up(listing_id=third)
    assert instance.instrument.symbol == "CCCUSDT"
    assert second.state is None, "which may still be bought, and counts"


@pytest.mark.parametrize(
    ("symbol", "changes"),
    [
        ("AAABTC", {}),
        ("AAAUSDT", {"missed_at": now() - timedelta(minutes=16)}),
        ("AAAUSDT", {"opened_at": None}),
    ],
    ids=["other quote asset", "nobody was looking", "not open"],
)
def test_what_was_not_granted_is_not_taken_up(waiting: Desk, symbol: str, changes: dict[str, Any]) -> None:
    assert listing_take_up(listing_id=_listing(waiting, symbol, **changes).pk) == []


def test_a_disabled_strategy_takes_nothing_up(waiting: Desk) -> None:
    Strategy.objects.filter(name="trend").update(is_enabled=False)
    assert listing_take_up(listing_id=_listing(waiting, "AAAUSDT").pk) == []
    assert (listings_due(), listing_venues()) == ([], [])


def test_more_takes_a_second_person_and_less_does_not(waiting: Desk) -> None:
    from tests.factories.trading import trader

    user: User = trader()
    asked = {
        "strategy": waiting.strategies["trend"],
        "account": waiting.account,
        "actor": user,
        "reason": "x",
    }
    request = listing_grant_change(**asked, terms=ListingTerms(Decimal(200), 2))
    assert isinstance(request, ChangeRequest)
    assert request.kind == "strategy.listing_grant"
    assert "allows" in request.diff
    assert ListingGrant.objects.get().allocation == 100
    apply_listing_grant(request, user)
    assert ListingGrant.objects.get().allocation == 200
    lowered = listing_grant_change(**asked, terms=ListingTerms(Decimal(0), 0))
    assert isinstance(lowered, ListingGrant)
    assert ListingGrant.objects.get().per_day == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"allocation": "NaN"}, {"allocation": "Infinity"}, {"allocation": "-1"}, {"allocation": "much"},
        {"allocation": None}, {"allocation": "100.001"}, {"per_day": -1}, {"per_day": 21}, {"per_day": 2.9},
        {"per_day": True}, {"per_day": []}, {"per_day": None},
    ],
)  # fmt: skip
def test_terms_that_are_none_are_refused_when_they_are_proposed(waiting: Desk, wrong: dict[str, Any]) -> None:
    target = f"{waiting.strategies['trend'].name}:{waiting.account.name}"
    good = {"allocation": "200", "per_day": 2}
    assert listing_grant_clean(target, good) == good
    with pytest.raises(ApplicationError) as refused:
        listing_grant_clean(target, {**good, **wrong})
    assert refused.value.code == "INVALID_VALUE"


def test_a_strategy_that_does_not_trade_listings_is_granted_none(waiting: Desk) -> None:
    from tests.factories.trading import trader

    with pytest.raises(ApplicationError, match="does not trade listings"):
        listing_grant_change(
            strategy=waiting.strategies["swing"], account=waiting.account, actor=trader(), reason="x",
            terms=ListingTerms(Decimal(1), 1),
        )  # fmt: skip
