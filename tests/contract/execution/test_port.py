"""One suite for every implementation of the execution port: what the services may rely on, whoever is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.contract.execution.subjects import (
    SYMBOL,
    ExchangeSubject,
    FakeSubject,
    Fault,
    Subject,
    protection,
    shrunk,
)
from tests.factories.exchange import Exchange, FuturesExchange
from trading.adapters.binance.spot_requests import list_request
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import VenueOrderList
from trading.domain.prevention import SelfTradePrevention
from trading.domain.values import ListKind, OrderType, Side

SALE = Side.SELL


@pytest.fixture(params=["fake", "spot", "usdm"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    yield from _subject(request, request.param)


@pytest.fixture(params=["fake", "spot"])
def lists(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Implementations that tie orders together."""
    yield from _subject(request, request.param)


@pytest.fixture(params=["spot", "usdm"])
def adapter(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The real adapters."""
    yield from _subject(request, request.param)


def _subject(request: pytest.FixtureRequest, name: str) -> Iterator[Subject]:
    if name == "fake":
        yield FakeSubject()
        return
    address: str = request.getfixturevalue("url")
    running = ExchangeSubject(Exchange(address) if name == "spot" else FuturesExchange(address))
    yield running
    running.close()


# -- one order -----------------------------------------------------------------------------


def test_an_order_that_rests_is_found_listed_and_canceled_once(subject: Subject) -> None:
    order = subject.order()
    placed = subject.place(order)
    assert (placed.status, placed.executed_quantity, placed.fills) == ("NEW", 0, ())
    found = subject.query(order)
    assert found is not None
    assert (found.venue_order_id, found.quantity, found.price) == (
        placed.venue_order_id,
        order.quantity,
        order.price,
    )
    assert subject.venue.query_by_id(SYMBOL, placed.venue_order_id) == found
    assert subject.open_ids() == {order.client_order_id}
    assert placed.venue_order_id in {
        o.venue_order_id for o in subject.venue.orders_since(SYMBOL, from_id=placed.venue_order_id)
    }
    canceled = subject.cancel(order)
    assert canceled is not None
    assert (canceled.status, canceled.client_order_id) == ("CANCELED", order.client_order_id)
    assert subject.cancel(order) is None
    assert subject.open_ids() == set()
    ended = subject.query(order)
    assert ended is not None
    assert ended.status == "CANCELED"


def test_what_never_was_is_absent_and_not_cancelable(subject: Subject) -> None:
    assert subject.query(subject.order()) is None
    assert subject.cancel(subject.order()) is None
    assert subject.venue.query_by_id(SYMBOL, 987_654_321) is None


def test_an_order_that_takes_is_filled_by_trades_that_add_up_to_it(subject: Subject) -> None:
    report = subject.place(subject.taking())
    assert report.executed_quantity == report.quantity
    trades = subject.trades_of(report)
    assert sum(t.quantity for t in trades) == report.executed_quantity
    assert all(t.side is Side.BUY and t.commission > 0 and not t.maker for t in trades)
    ids = [t.trade_id for t in trades]
    assert ids == sorted(set(ids))
    since = subject.venue.trades(SYMBOL, from_id=ids[-1], start_ms=None)
    assert [t.trade_id for t in since] == ids[-1:]
    assert subject.venue.trades(SYMBOL, from_id=ids[-1] + 1, start_ms=None) == []
    # Fills in the answer are the same trades; where it has none they are in the list alone.
    assert {f.trade_id for f in report.fills} <= set(ids)


def test_an_order_that_cannot_take_at_once_leaves_nothing(subject: Subject) -> None:
    order = replace(subject.taking(), price=subject.near("0.9"))
    subject.place(order)
    found = subject.query(order)
    assert found is not None
    assert (found.status, found.executed_quantity) == ("EXPIRED", 0)
    assert subject.open_ids() == set()


def test_an_id_is_refused_while_open_and_taken_again_afterwards(subject: Subject) -> None:
    order = subject.order()
    first = subject.place(order)
    with pytest.raises(VenueRejected) as refused:
        subject.place(order)
    assert refused.value.code in (-2010, -4116)
    subject.cancel(order)
    again = subject.place(order)
    assert again.venue_order_id != first.venue_order_id
    newest = subject.query(order)
    assert newest is not None
    assert newest.venue_order_id == again.venue_order_id


def test_more_than_the_account_has_is_refused(subject: Subject) -> None:
    with pytest.raises(VenueRejected) as refused:
        subject.place(subject.order(quantity="90"))
    assert refused.value.code in (-2010, -2019, -2027)
    assert subject.open_ids() == set()


def test_a_request_older_than_its_window_is_refused(subject: Subject) -> None:
    order = subject.order()
    with pytest.raises(VenueRejected) as refused:
        subject.place(order, age_ms=2_500)
    assert refused.value.code == -1021
    assert subject.query(order) is None


def test_an_amended_order_keeps_its_ids_and_shrinks(subject: Subject) -> None:
    order = subject.order()
    before = subject.place(order)
    amended = subject.venue.amend(
        shrunk(order, "0.006"), timestamp_ms=subject.venue.server_time_ms(), recv_window_ms=2000
    )
    assert (amended.client_order_id, amended.quantity) == (order.client_order_id, Decimal("0.006"))
    found = subject.query(order)
    assert found is not None
    assert (found.venue_order_id, found.quantity, found.status) == (
        before.venue_order_id,
        Decimal("0.006"),
        "NEW",
    )
    with pytest.raises(VenueRejected):
        subject.venue.amend(
            shrunk(subject.order(), "0.005"),
            timestamp_ms=subject.venue.server_time_ms(),
            recv_window_ms=2000,
        )


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("fault", "kind", "there"),
    [
        ("lost_before", OutcomeUnknown, False),
        ("lost_after", OutcomeUnknown, True),
        ("busy", VenueUnavailable, False),
    ],
)
def test_a_lost_answer_is_unknown_and_a_look_up_tells(
    subject: Subject, fault: Fault, kind: type[Exception], there: bool, conditional: bool
) -> None:
    order = subject.order()
    if conditional:
        order = subject.order(OrderType.STOP_MARKET, stop=subject.near("1.1"))
    subject.fault(fault, order)
    with pytest.raises(kind) as failed:
        subject.place(order)
    if isinstance(failed.value, OutcomeUnknown):
        assert failed.value.client_order_id == order.client_order_id
    assert subject.open_ids() == ({order.client_order_id} if there else set())
    assert (subject.query(order) is not None) is there


# -- conditional orders --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "stop", "limit", "callback"),
    [
        (OrderType.STOP_MARKET, "0.95", None, None),
        (OrderType.STOP_LIMIT, "0.95", "0.94", None),
        (OrderType.TAKE_PROFIT_MARKET, "1.05", None, None),
        (OrderType.TAKE_PROFIT_LIMIT, "1.05", "1.05", None),
        (OrderType.TRAILING_STOP_MARKET, None, None, 100),
    ],
)
def test_a_conditional_order_waits_under_its_own_type_and_is_canceled_once(
    subject: Subject, kind: OrderType, stop: str | None, limit: str | None, callback: int | None
) -> None:
    subject.fund_sales()
    order = subject.order(
        kind,
        SALE,
        stop=subject.near(stop) if stop else None,
        price=subject.near(limit) if limit else None,
        callback=callback,
    )
    placed = subject.place(order)
    listed = next(o for o in subject.venue.open_orders(SYMBOL))
    for report in (placed, subject.query(order), listed):
        assert report is not None
        assert (report.type, report.status, report.triggered) == (kind.value, "NEW", False)
        assert (report.stop_price, report.quantity) == (order.stop_price, order.quantity)
    canceled = subject.cancel(order)
    assert canceled is not None
    assert (canceled.status, canceled.type) == ("CANCELED", kind.value)
    assert subject.cancel(order) is None
    assert subject.open_ids() == set()


@pytest.mark.parametrize("kind", [OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET])
def test_a_conditional_order_whose_price_is_reached_already_is_refused(
    subject: Subject, kind: OrderType
) -> None:
    subject.fund_sales()
    share = "1.05" if kind is OrderType.STOP_MARKET else "0.95"
    with pytest.raises(VenueRejected) as refused:
        subject.place(subject.order(kind, SALE, stop=subject.near(share)))
    assert refused.value.code in (-2010, -2021)


def test_a_stop_that_is_reached_sells_and_its_trades_are_listed(subject: Subject) -> None:
    subject.fund_sales()
    order = subject.order(OrderType.STOP_MARKET, SALE, stop=subject.near("0.999"))
    subject.place(order)
    subject.move("0.99")
    found = subject.query(order)
    assert found is not None
    assert (found.status, found.executed_quantity, found.triggered) == ("FILLED", order.quantity, True)
    assert found.venue_order_id > 0
    trades = subject.trades_of(found)
    assert sum(t.quantity for t in trades) == order.quantity
    assert subject.cancel(order) is None
    assert order.client_order_id not in subject.open_ids()


def test_a_triggered_limit_that_rests_is_canceled_like_any_other(subject: Subject) -> None:
    subject.fund_sales()
    order = subject.order(OrderType.STOP_LIMIT, SALE, stop=subject.near("0.999"), price=subject.near("1.03"))
    subject.place(order)
    subject.move("0.99")
    found = subject.query(order)
    assert found is not None
    assert (found.status, found.triggered, found.type) == ("NEW", True, "STOP_LIMIT")
    assert subject.open_ids() == {order.client_order_id}
    canceled = subject.cancel(order)
    assert canceled is not None
    assert canceled.status == "CANCELED"
    assert subject.open_ids() == set()


def test_of_two_orders_that_cancel_each_other_one_trades(lists: Subject) -> None:
    above, below = protection(lists)
    report = lists.place_list(ListKind.OCO, above, below)
    assert [leg.client_order_id for leg in report.legs] == [above.client_order_id, below.client_order_id]
    assert {leg.venue_list_id for leg in report.legs} == {report.venue_list_id}
    assert lists.open_ids() == {above.client_order_id, below.client_order_id}
    lists.move("0.99")
    states = {
        leg.client_order_id: leg.status
        for leg in lists.venue.query_list(client_list_id=report.client_list_id).legs
    }
    assert states == {below.client_order_id: "FILLED", above.client_order_id: "EXPIRED"}
    assert lists.open_ids() == set()


def test_the_cancel_of_a_list_or_of_one_of_its_orders_ends_both(lists: Subject) -> None:
    first = lists.place_list(ListKind.OCO, *protection(lists))
    canceled = lists.venue.cancel_list(SYMBOL, client_list_id=first.client_list_id)
    assert {leg.status for leg in canceled.legs} == {"CANCELED"}
    assert lists.venue.cancel_list(SYMBOL, client_list_id=first.client_list_id) is None
    above, below = protection(lists)
    lists.place_list(ListKind.OCO, above, below)
    answer = lists.cancel(below)
    assert answer is not None
    assert (answer.client_order_id, answer.status) == (below.client_order_id, "CANCELED")
    assert lists.cancel(above) is None
    assert lists.open_ids() == set()
    assert lists.venue.query_list(client_list_id="never") is None


def test_protection_begins_when_its_entry_is_filled(lists: Subject) -> None:
    above, below = protection(lists)
    entry = replace(lists.taking(), time_in_force=lists.order().time_in_force)
    report = lists.place_list(ListKind.OTOCO, entry, shrunk(above, "0.009"), shrunk(below, "0.009"))
    assert report.legs[0].status == "FILLED"
    legs = lists.venue.query_list(client_list_id=report.client_list_id).legs
    assert [leg.status for leg in sorted(legs, key=lambda leg: leg.venue_order_id)] == [
        "FILLED",
        "NEW",
        "NEW",
    ]


def test_protection_of_an_entry_that_rests_is_pending_and_goes_with_it(lists: Subject) -> None:
    entry = lists.order()
    stop = lists.order(OrderType.STOP_MARKET, SALE, stop=lists.near("0.8"), quantity="0.009")
    report = lists.place_list(ListKind.OTO, entry, stop)
    assert [leg.status for leg in report.legs] == ["NEW", "PENDING_NEW"]
    lists.cancel(entry)
    ended = lists.query(stop)
    assert ended is not None
    assert ended.status in ("CANCELED", "EXPIRED")


@pytest.mark.parametrize(
    ("fault", "kind", "there"),
    [
        ("lost_before", OutcomeUnknown, False),
        ("lost_after", OutcomeUnknown, True),
        ("busy", VenueUnavailable, False),
    ],
)
def test_the_outcome_of_a_list_is_unknown_as_a_whole(
    lists: Subject, fault: Fault, kind: type[Exception], there: bool
) -> None:
    above, below = protection(lists)
    name = f"l{above.client_order_id}"
    lists.fault(fault, VenueOrderList(ListKind.OCO, SYMBOL, name, (above, below)))
    with pytest.raises(kind) as failed:
        lists.place_list(ListKind.OCO, above, below, name=name)
    if isinstance(failed.value, OutcomeUnknown):
        assert failed.value.client_order_id == name
    assert (lists.venue.query_list(client_list_id=name) is not None) is there
    assert len(lists.open_ids()) == (2 if there else 0)


# -- self-trades ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "taker", "maker"),
    [
        (SelfTradePrevention.EXPIRE_TAKER, "EXPIRED_IN_MATCH", "NEW"),
        # the way is clear, and what it meets then is somebody else's order
        (SelfTradePrevention.EXPIRE_MAKER, "FILLED", "EXPIRED_IN_MATCH"),
        (SelfTradePrevention.EXPIRE_BOTH, "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        (None, "FILLED", "FILLED"),
    ],
)
def test_the_venue_prevents_a_self_trade_as_the_taker_says(
    adapter: Subject, mode: SelfTradePrevention | None, taker: str, maker: str
) -> None:
    adapter.fund_sales()
    adapter.part_sides()
    bid, ask = adapter.touch()
    inside = ask - Decimal("0.1" if adapter.name == "usdm" else "0.01")
    assert bid < inside
    resting = adapter.order(side=SALE, price=inside, quantity="0.01")
    adapter.place(resting)
    adapter.place(replace(adapter.taking(quantity="0.01"), client_order_id="taker", prevention=mode))
    ended = adapter.venue.query(SYMBOL, client_order_id="taker")
    assert ended.status == taker
    found = adapter.query(resting)
    assert found is not None
    assert found.status == maker


def test_a_list_carries_the_mode_of_its_exits(lists: Subject) -> None:
    if lists.name == "fake":
        pytest.skip("the exchange in memory knows no prevention")
    exits = [
        replace(lists.order(kind, SALE, price=price, stop=stop), prevention=SelfTradePrevention.EXPIRE_MAKER)
        for kind, price, stop in (
            (OrderType.LIMIT_MAKER, lists.near("1.1"), None),
            (OrderType.STOP_MARKET, None, lists.near("0.9")),
        )
    ]
    _, params = list_request(VenueOrderList(ListKind.OCO, SYMBOL, "list", tuple(exits)))
    assert params["selfTradePreventionMode"] == "EXPIRE_MAKER"
    assert len(lists.place_list(ListKind.OCO, *exits).legs) == 2
