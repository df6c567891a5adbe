"""Quotes on the paper exchange's futures: both sides from nothing, post-only, followed, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.factories.exchange import FuturesExchange
from tests.integration.trading.services.quoting.conftest import Maker, maker_on
from trading.models import Account, Fill, Order
from trading.services.account_modes import account_mode_read
from trading.services.reconcile import account_reconcile
from trading.services.strategies import strategy_disable
from universe.adapters.binance import BinanceUsdmMarketData
from universe.models import Instrument, Quote
from universe.services import instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture
def futures(new_desk: Callable[..., Desk], url: str) -> Maker:
    """The maker on a USD-M account in one-way mode; it may be short."""
    exchange = FuturesExchange(url)
    desk = new_desk(opened=False, symbols=("BTCUSDT",))
    desk.venue_row.market = "usdm"
    desk.venue_row.save()
    Instrument.objects.filter(venue=desk.venue_row).update(market="usdm")
    instruments_sync(desk.venue_row, BinanceUsdmMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue  # type: ignore[assignment]
    desk.account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    exchange.venue.set_leverage("BTCUSDT", 3)
    account_mode_read(account=desk.account, venue=exchange.venue)
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    hear(desk, exchange)
    desk.measure()
    tick = float(desk.btc.to_domain().tick_size)
    return maker_on(desk, exchange, allow_short=True, lot=0.01, tick_size=tick)


def hear(desk: Desk, exchange: FuturesExchange) -> None:
    """Hear of the market, the mark price included."""
    from nautilus_site.common.clock import now

    bid, ask = exchange.touch()
    Quote.objects.filter(instrument=desk.btc).update(
        bid=bid, ask=ask, received_at=now(), mark_price=(bid + ask) / 2, mark_received_at=now()
    )


def test_from_nothing_it_quotes_both_sides_post_only_and_is_filled_as_a_maker(futures: Maker) -> None:
    futures.round()
    assert [side for side, _, _ in futures.standing()] == ["BUY", "SELL"]
    listed = futures.desk.venue.open_orders("BTCUSDT")
    assert {order.type for order in listed} == {"LIMIT_MAKER"}  # what a limit with GTX is read as
    exchange = futures.exchange
    assert exchange is not None
    (_, ask, _) = futures.standing()[1]
    price = (Decimal(ask) * Decimal("1.001")).quantize(Decimal("1"))
    exchange.drive((1, price), (4, price), market="usdm", seconds=4)
    futures.hear()
    assert futures.desk.position().quantity < 0, "sold what it did not have"
    assert set(Fill.objects.values_list("maker", flat=True)) == {True}
    hear(futures.desk, exchange)
    futures.round(times=3)
    assert futures.instance.said["features"]["inventory_lots"] < 0
    run = account_reconcile(account_id=futures.desk.account.pk, venue=futures.desk.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"
    strategy_disable(name=futures.strategy.name, actor="test", reason="drill")
    futures.refreshed  # noqa: B018
    futures.send()
    assert futures.standing() == []
    assert not Order.objects.filter(ended_at=None).exists()


def test_a_quote_that_moves_away_is_amended_and_one_that_comes_nearer_is_placed_anew(futures: Maker) -> None:
    futures.round()
    exchange = futures.exchange
    assert exchange is not None
    before = {o.side: o for o in Order.objects.filter(ended_at=None)}
    (_, ask, _) = futures.standing()[1]
    price = (Decimal(ask) * Decimal("0.999")).quantize(Decimal("1"))
    exchange.drive((1, price), (4, price), market="usdm", seconds=4)
    futures.hear()
    filled = {side for side, order in before.items() if futures.desk.fresh(order).ended_at is not None}
    hear(futures.desk, exchange)
    futures.round()
    # The market fell: the ask comes nearer and is taken back, the bid, if it was not met, moves away in place.
    after = futures.standing()
    if "BUY" not in filled:
        bid = futures.desk.fresh(before["BUY"])
        assert bid.ended_at is None
        assert bid.price is not None
        assert before["BUY"].price is not None
        assert bid.price < before["BUY"].price
        assert [price for side, price, _ in after if side == "BUY"] == [f"{bid.price.normalize():f}"]
    futures.round(times=2)
    assert [side for side, _, _ in futures.standing()] == ["BUY", "SELL"]
    run = account_reconcile(account_id=futures.desk.account.pk, venue=futures.desk.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"
