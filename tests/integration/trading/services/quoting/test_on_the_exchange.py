"""Quotes on the paper exchange: bought for, placed, moved, refused, lost and found, and equal books at the end."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from trading.models import Fill, Order, StrategyInstance
from trading.services.reconcile import account_reconcile
from trading.services.strategies import strategy_disable

if TYPE_CHECKING:
    from tests.integration.trading.services.quoting.conftest import Maker


def touch(maker: Maker) -> tuple[Decimal, Decimal]:
    assert maker.exchange is not None
    return maker.exchange.touch()


def drive(maker: Maker, factor: str, seconds: int = 4) -> None:
    """Bring the market to a part of where it stands."""
    assert maker.exchange is not None
    price = (touch(maker)[0] * Decimal(factor)).quantize(Decimal("1"))
    maker.exchange.drive((1, price), (seconds, price), seconds=seconds)
    maker.hear()


def stocked(maker: Maker) -> Maker:
    """Let the market come to its first bid, and then quote both sides."""
    maker.round()
    drive(maker, "0.9995")
    for _ in range(12):
        maker.round(times=2)
        if len(maker.standing()) == 2:
            return maker
        drive(maker, "0.9998")
    raise AssertionError(f"it never quoted both sides: {maker.instance.said} {maker.standing()}")


def reconciled(maker: Maker) -> str:
    run = account_reconcile(account_id=maker.desk.account.pk, venue=maker.desk.venue, trigger="periodic")
    assert run is not None
    return run.outcome


def test_on_spot_it_first_bids_for_its_inventory_and_sells_nothing(live: Maker) -> None:
    bid, _ = touch(live)
    live.round()
    assert live.instance.said["reason"] == "STOCKING"
    assert live.standing() == [("BUY", f"{bid.normalize():f}", "0.002")]
    stocked(live)
    assert live.instance.said["reason"] in ("QUOTING", "ONE_SIDE")
    assert live.desk.position().quantity >= Decimal("0.0015")
    assert set(Fill.objects.values_list("maker", flat=True)) == {True}, "post-only: it never takes"
    assert reconciled(live) == "clean"


def test_quotes_follow_the_market_and_the_books_stay_equal(live: Maker) -> None:
    stocked(live)
    before = {side: Decimal(price) for side, price, _ in live.standing()}
    drive(live, "1.003")
    live.round(times=3)
    after = {side: Decimal(price) for side, price, _ in live.standing()}
    assert after["BUY"] > before["BUY"]
    bid, ask = touch(live)
    assert all(price < ask if side == "BUY" else price > bid for side, price in after.items())
    assert len(live.standing()) <= 2
    assert reconciled(live) == "clean"


def test_disabled_it_leaves_nothing_in_the_book_and_keeps_what_it_holds(live: Maker) -> None:
    stocked(live)
    held = live.desk.position().quantity
    strategy_disable(name=live.strategy.name, actor="test", reason="drill")
    live.refreshed  # noqa: B018
    live.send()
    assert live.standing() == []
    assert live.desk.position().quantity == held
    assert not any(name.startswith(("reserved", "open_")) for name in live.desk.held_amounts())
    assert reconciled(live) == "clean"


def test_a_quote_the_market_has_passed_is_refused_by_the_exchange_and_placed_anew(live: Maker) -> None:
    stocked(live)
    live.look()
    live.step()
    for order in Order.objects.filter(ended_at=None, type="LIMIT_MAKER"):
        live.desk.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    live.hear()
    # The quotes of a moment ago, reserved on a book that is gone: the bid would now take.
    live.refreshed  # noqa: B018
    assert Order.objects.filter(status="RESERVED", side="BUY").exists()
    assert live.exchange is not None
    price = (touch(live)[0] * Decimal("0.99")).quantize(Decimal("1"))
    live.exchange.drive((1, price), (6, price), seconds=6)
    live.send()
    (refused,) = Order.objects.filter(side="BUY", status="REJECTED")
    assert refused.code == "-2010"
    assert not Fill.objects.filter(order=refused).exists()
    live.round(times=3)
    bids = [Decimal(price) for side, price, _ in live.standing() if side == "BUY"]
    assert bids
    assert max(bids) < touch(live)[1]
    assert reconciled(live) == "clean"


def test_a_lost_answer_leads_to_no_second_quote(live: Maker) -> None:
    assert live.exchange is not None
    live.look()
    live.step()
    live.exchange.fault("/api/v3/order", "POST", error_after="drop")
    live.send()
    (order,) = Order.objects.filter(type="LIMIT_MAKER")
    assert order.status == "UNKNOWN"
    live.look()
    live.step()
    assert Order.objects.filter(type="LIMIT_MAKER").count() == 1, "it may stand: nothing is placed beside it"
    live.hear()
    assert live.desk.fresh(order).status == "NEW"
    live.round()
    assert len(live.standing()) == 1


def test_whoever_comes_next_goes_on_from_the_rows(live: Maker) -> None:
    """A worker that dies between reserving and sending, or between cancelling and placing, leaves rows behind."""
    live.look()
    live.step()
    (order,) = Order.objects.filter(type="LIMIT_MAKER")
    assert order.status == "RESERVED"
    live.refreshed  # noqa: B018  the next worker looks, and finds it there
    live.step()
    assert Order.objects.filter(type="LIMIT_MAKER").count() == 1
    live.send()
    assert len(live.standing()) == 1
    # Everything it remembers is in its row: one that knows only that wants the same.
    before = live.instance.quotes
    live.round()
    assert live.instance.quotes == before
    assert StrategyInstance.objects.get(pk=live.instance.pk).state is not None
    assert Order.objects.filter(type="LIMIT_MAKER").count() == 1


def test_a_quote_that_follows_the_market_is_replaced_at_the_exchange_by_one_request(live: Maker) -> None:
    stocked(live)
    (old,) = Order.objects.filter(side="BUY", ended_at=None)
    drive(live, "1.001")
    live.round()
    (new,) = Order.objects.filter(side="BUY", ended_at=None)
    assert new.replaces == old
    assert live.desk.fresh(old).status == "CANCELED"
    assert old.price is not None
    assert new.price is not None
    assert new.price > old.price
    assert [side for side, _, _ in live.standing()] == ["BUY", "SELL"]
    assert reconciled(live) == "clean"


def test_the_lost_answer_of_a_replacement_leads_to_no_second_quote(live: Maker) -> None:
    assert live.exchange is not None
    stocked(live)
    drive(live, "1.001")
    live.look()
    live.step()
    moved = list(Order.objects.filter(status="RESERVED", replaces__isnull=False))
    assert moved
    live.exchange.fault("/api/v3/order/cancelReplace", "POST", error_after="drop")
    live.send()
    assert Order.objects.filter(status="UNKNOWN").count() == 1, "the first of them"
    live.look()
    live.step()
    assert len(live.standing()) <= 2
    live.hear()
    assert not Order.objects.filter(status="UNKNOWN").exists()
    live.round(times=2)
    assert len(live.standing()) <= 2
    assert reconciled(live) == "clean"
