"""A quote that has to move: replaced by one request, whatever becomes of that and whoever dies over it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_site.common.clock import now
from tests.integration.trading.services.quoting.quotes import as_wanted, quotes_of
from trading.models import Order
from trading.services.planning import plan_refresh

if TYPE_CHECKING:
    from tests.integration.trading.services.quoting.conftest import Maker


def test_a_quote_that_has_to_move_is_replaced_in_the_same_round(maker: Maker) -> None:
    maker.round()
    first = maker.standing()
    maker.round("59992", "60012")
    assert maker.standing() == as_wanted(maker) != first
    bid, ask, new_bid, new_ask = quotes_of(maker)
    assert [o.status for o in (bid, ask, new_bid, new_ask)] == ["CANCELED", "CANCELED", "NEW", "NEW"]
    assert (new_bid.replaces, new_ask.replaces) == (bid, ask)
    assert new_bid.plan is not None
    assert new_bid.plan.child_quantity == new_bid.plan.parent_quantity


def test_a_quote_of_which_a_part_has_traded_is_cancelled_and_the_next_one_follows_its_end(
    maker: Maker, hints: list[tuple[str, dict[str, Any]]], django_capture_on_commit_callbacks: Any
) -> None:
    maker.round()
    (bid, _) = quotes_of(maker)
    Order.objects.filter(pk=bid.pk).update(status="PARTIALLY_FILLED")
    maker.look("59992", "60012")
    maker.step()
    hints.clear()
    with django_capture_on_commit_callbacks(execute=True):
        maker.send()
    assert maker.desk.fresh(bid).status == "CANCELED"
    where = {"account_id": maker.desk.account.pk, "instrument_id": maker.desk.btc.pk}
    assert ("trading.tasks.plan_refresh", where) in hints, "nobody waits for the next look"
    plan_refresh(**where)
    maker.send()
    assert maker.standing() == as_wanted(maker)


def test_a_replacement_in_doubt_is_held_for_with_the_old_quote_and_nothing_follows(maker: Maker) -> None:
    maker.round()
    bid, _ = quotes_of(maker)
    alone = maker.desk.held_amounts()
    maker.desk.venue.faults = ["lost_before"]
    maker.look("59992", "60012")
    maker.step()
    maker.send()
    new_bid = quotes_of(maker).get(replaces=bid)
    assert new_bid.status == "UNKNOWN"
    assert maker.desk.fresh(bid).status == "NEW"
    held = maker.desk.held_amounts()
    assert held["reserved USDT"] > Decimal("1.9") * alone["reserved USDT"], "both are held for"
    assert held["open_buy BTCUSDT"] == Decimal("0.002")
    for _ in range(3):  # what stands is taken back, and nothing new is placed beside the doubt
        maker.look("59993", "60013")
        maker.step()
        maker.send()
    assert maker.desk.fresh(bid).status == "CANCELED"
    assert maker.desk.fresh(new_bid).status == "UNKNOWN"
    assert quotes_of(maker).filter(side="BUY").count() == 2
    assert maker.desk.held_amounts()["open_buy BTCUSDT"] == Decimal("0.001")
    for _ in range(2):  # the proof of absence: 17 s after the request, and two looks 2 s apart
        maker.desk.venue.now_ms += 20_000
        maker.hear()
    assert maker.desk.fresh(new_bid).status == "ABSENT"
    maker.round("59993", "60013", times=2)
    assert maker.standing() == as_wanted(maker)


def test_a_replacement_that_landed_without_an_answer_is_found_and_stands_alone(maker: Maker) -> None:
    maker.round()
    bid, _ = quotes_of(maker)
    maker.desk.venue.faults = ["lost_after"]
    maker.look("59992", "60012")
    maker.step()
    maker.send()
    new_bid = quotes_of(maker).get(replaces=bid)
    assert maker.desk.fresh(bid).status == "CANCELED", "the venue was asked at once what became of it"
    assert new_bid.status == "UNKNOWN"
    maker.round("59992", "60012")
    assert maker.desk.fresh(new_bid).status == "NEW"
    assert maker.standing() == as_wanted(maker)
    assert quotes_of(maker).filter(side="BUY").count() == 2


def test_whoever_comes_after_a_sender_that_died_goes_on_from_the_rows(maker: Maker) -> None:
    """C2: reserved, not authorised. C3: authorised, and nobody is there to send it."""
    from trading.services.execution.authorise import order_authorise

    maker.round()
    bid, ask = quotes_of(maker)
    maker.look("59992", "60012")
    maker.step()
    new_bid, new_ask = quotes_of(maker).filter(replaces__isnull=False).order_by("pk")
    before = Order.objects.count()
    maker.look("59994", "60014")
    maker.step()
    assert Order.objects.count() == before, "what is reserved is sent before anything follows it"
    assert maker.desk.fresh(bid).cancel_requested_at is None
    venue_time_ms = maker.desk.venue.server_time_ms()
    assert order_authorise(order_id=new_bid.pk, held=maker.desk.lease(), venue_time_ms=venue_time_ms)
    maker.send()  # the ask goes its way
    Order.objects.filter(pk=new_bid.pk).update(sent_at=now() - timedelta(seconds=3))
    maker.look("59994", "60014")
    maker.step()
    assert maker.desk.fresh(bid).cancel_requested_at is not None, (
        "what may be replaced at any moment is taken back"
    )
    maker.send()
    assert [maker.desk.fresh(o).status for o in (bid, ask, new_ask)] == ["CANCELED", "CANCELED", "CANCELED"]
    assert maker.desk.fresh(new_bid).status == "SENDING"
    assert [side for side, _, _ in maker.standing()] == ["SELL"]
    Order.objects.filter(pk=new_bid.pk).update(sent_at=now() - timedelta(minutes=1))
    for _ in range(2):
        maker.desk.venue.now_ms += 20_000
        maker.hear()
    assert maker.desk.fresh(new_bid).status == "ABSENT"
    maker.round("59994", "60014", times=2)
    assert maker.standing() == as_wanted(maker)


def test_a_quote_that_traded_while_its_replacement_was_under_way_is_not_replaced(maker: Maker) -> None:
    maker.round()
    bid, _ = quotes_of(maker)
    maker.look("59992", "60012")
    maker.step()
    maker.desk.venue.move("BTCUSDT", bid.price - 1, bid.price)
    maker.send()
    maker.hear()
    new_bid = quotes_of(maker).get(replaces=bid)
    assert (maker.desk.fresh(bid).status, new_bid.status, new_bid.code) == ("FILLED", "REJECTED", "-2022")
    assert not any(side == "BUY" for side, _, _ in maker.standing())
    assert "open_buy BTCUSDT" not in maker.desk.held_amounts()
