"""Brackets on the paper exchange's spot market, through the real client and every transaction of the order path."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from nautilus_site.common.errors import ApplicationError
from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.brackets import BracketState
from trading.models import Bracket, BracketEvent, Order

S = BracketState


def test_an_entry_is_guarded_by_one_oco_of_what_it_bought(rig: Rig) -> None:
    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    bracket = rig.settle()
    assert bracket.state == S.PROTECTED
    assert sorted(rig.open_at_venue()) == ["LIMIT_MAKER 0.00999", "STOP_MARKET 0.00999"]
    assert bracket.unprotected_since is None
    assert rig.desk.position().open_sell == Decimal("0.00999")  # two legs, the same coins, held once
    assert rig.desk.balance("BTC").reserved == Decimal("0.00999")


def test_the_stop_trades_and_nothing_is_left(rig: Rig) -> None:
    """Sibling race: both legs report, the one its fill, the other its end; each once, whatever the order."""
    rig.buy(stop=rig.near("0.99"), take_profits=((rig.near("1.05"), None),))
    rig.settle()
    rig.drive_to(rig.near("0.98"))
    bracket = rig.settle()
    assert bracket.state == S.DONE
    assert rig.listed() == []
    assert [o.status for o in rig.legs("stop")] == ["FILLED"]
    assert [o.status for o in rig.legs("take_profit")] == ["EXPIRED"]
    assert rig.desk.position().quantity < Decimal("0.00001")
    assert rig.desk.held_amounts().keys().isdisjoint({"reserved BTC", "open_sell BTCUSDT"})


def test_the_take_profit_trades_and_nothing_is_left(rig: Rig) -> None:
    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.01"), None),))
    rig.settle()
    rig.drive_to(rig.near("1.02"))
    bracket = rig.settle()
    assert bracket.state == S.DONE
    assert [o.status for o in rig.legs("take_profit")] == ["FILLED"]
    assert rig.listed() == []


def test_several_take_profits_share_the_position(rig: Rig) -> None:
    rig.buy(
        "0.03",
        stop=rig.near("0.95"),
        take_profits=((rig.near("1.01"), Decimal("0.5")), (rig.near("1.1"), None)),
    )
    rig.settle()
    assert (
        rig.open_at_venue().count("STOP_MARKET 0.01498") + rig.open_at_venue().count("STOP_MARKET 0.01499")
        == 2
    )
    rig.drive_to(rig.near("1.02"))
    bracket = rig.settle()
    assert bracket.state == S.PROTECTED
    assert len([o for o in rig.listed() if "STOP" in o.type]) == 1
    assert rig.desk.position().quantity > 0


def test_a_resting_entry_waits_without_protection_and_is_guarded_when_it_fills(rig: Rig) -> None:
    low = rig.near("0.99")
    entry = rig.buy(type="LIMIT", price=str(low), stop=rig.near("0.95"))
    bracket = rig.settle()
    assert (bracket.state, rig.open_at_venue()) == (S.PENDING, ["LIMIT 0.01"])
    rig.drive_to(rig.near("0.98"))
    bracket = rig.settle()
    assert rig.desk.fresh(entry).status == "FILLED"
    assert bracket.state == S.PROTECTED
    assert rig.open_at_venue() == ["STOP_MARKET 0.00999"]


def test_a_cancelled_entry_leaves_no_bracket(rig: Rig) -> None:
    from trading.services.orders import order_cancel_request

    entry = rig.buy(type="LIMIT", price=str(rig.near("0.9")), stop=rig.near("0.8"))
    rig.settle()
    order_cancel_request(order=entry, actor="test", reason="changed my mind")
    assert rig.settle().state == S.DONE
    assert rig.listed() == []


def test_a_stop_is_moved_by_a_person_either_way_and_never_twice_at_the_exchange(rig: Rig) -> None:
    """Pain 2: old stops are gone before new ones come."""
    from trading.services.brackets import Wanted, bracket_move

    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.settle()
    for factor in ("0.97", "0.93"):
        level = rig.near(factor)
        bracket_move(bracket_id=rig.bracket.pk, wanted=Wanted(stop=level), actor=rig.user, reason="test")
        for _ in range(6):
            rig.round()
            rig.check()
        stops = [o for o in rig.listed() if "STOP" in o.type]
        assert [o.stop_price for o in stops] == [level]


def test_a_sale_by_a_person_gets_its_coins_and_the_rest_stays_guarded(rig: Rig) -> None:
    """Pain 19: protection lets go of exactly what is sold, then guards what is left."""
    from trading.domain.values import Side
    from trading.services.brackets import bracket_in_the_way, bracket_yield

    rig.buy("0.03", stop=rig.near("0.95"))
    rig.settle()
    side, quantity = Side.SELL, Decimal("0.01")
    held = bracket_in_the_way(account=rig.desk.account, instrument=rig.desk.btc, side=side, quantity=quantity)
    assert held is not None
    bracket_yield(bracket_id=held[0].pk, keep=held[1], reason="test")
    rig.round(3)
    assert (
        bracket_in_the_way(account=rig.desk.account, instrument=rig.desk.btc, side=side, quantity=quantity)
        is None
    )
    sale = rig.ask("SELL", "0.01")
    bracket = rig.settle()
    assert rig.desk.fresh(sale).status == "FILLED"
    assert bracket.state == S.PROTECTED
    assert rig.open_at_venue() == ["STOP_MARKET 0.01997"]


def test_what_a_sale_needs_is_taken_off_the_orders_in_place(rig: Rig) -> None:
    """One amendment makes both orders of the OCO smaller: nothing is cancelled, nothing is naked meanwhile."""
    from trading.models import OrderCommand
    from trading.services.brackets import bracket_yield

    rig.buy("0.03", stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.settle()
    before = {o.client_order_id for o in rig.listed()}
    bracket_yield(bracket_id=rig.bracket.pk, keep=Decimal("0.02"), reason="test")
    rig.step()
    assert rig.bracket.unprotected_quantity == 0
    rig.round(2)
    assert {o.client_order_id for o in rig.listed()} == before
    assert sorted(rig.open_at_venue()) == ["LIMIT_MAKER 0.02", "STOP_MARKET 0.02"]
    assert [(c.kind, c.state) for c in OrderCommand.objects.all()] == [("amend", "done")]
    # The list held the coins of both once, and gave what was taken off back once.
    assert rig.desk.position().open_sell == Decimal("0.02")
    assert rig.desk.balance("BTC").reserved == Decimal("0.02")
    rig.check()


def test_an_amendment_the_venue_refuses_is_followed_by_a_replacement(rig: Rig) -> None:
    from trading.services.brackets import bracket_yield

    rig.buy("0.03", stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.settle()
    match = {"path": "/api/v3/order/amend/keepPriority", "method": "PUT", "count": 1}
    refusal = {"error_before": {"status": 400, "code": -2038}}
    rig.exchange.control("POST", "/faults", {"match": match, "effect": refusal})
    bracket_yield(bracket_id=rig.bracket.pk, keep=Decimal("0.02"), reason="test")
    rig.round(4)
    assert sorted(rig.open_at_venue()) == ["LIMIT_MAKER 0.02", "STOP_MARKET 0.02"]
    assert rig.desk.position().open_sell == Decimal("0.02")
    assert len(rig.legs("stop")) == 2
    rig.check()


def test_protection_comes_back_when_the_sale_does_not_happen(rig: Rig) -> None:
    from trading.services.brackets import bracket_yield

    rig.buy("0.02", stop=rig.near("0.95"))
    rig.settle()
    bracket_yield(bracket_id=rig.bracket.pk, keep=Decimal("0.01"), reason="test")
    rig.round(3)
    assert rig.open_at_venue() == ["STOP_MARKET 0.01"]
    Bracket.objects.update(yield_until=rig.bracket.opened_at)
    assert rig.settle().state == S.PROTECTED
    stops = sum((o.quantity for o in rig.listed()), Decimal(0))
    assert stops == Decimal("0.01998")


def test_protection_is_taken_down_by_a_person(rig: Rig) -> None:
    from trading.services.brackets import bracket_cancel

    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.settle()
    bracket_cancel(bracket_id=rig.bracket.pk, actor=rig.user, reason="test")
    assert rig.settle().state == S.DONE
    assert rig.listed() == []
    assert rig.desk.position().quantity > 0


def test_a_trail_is_kept_by_us_where_the_venue_cannot(rig: Rig) -> None:
    rig.buy(trailing=Decimal("0.02"))
    rig.settle()
    (first,) = [o.stop_price for o in rig.listed()]
    rig.drive_to(rig.near("1.03"))
    rig.settle()
    (second,) = [o.stop_price for o in rig.listed()]
    assert first is not None
    assert second is not None
    assert second > first * Decimal("1.02")
    rig.drive_to(rig.near("0.99"))
    rig.settle()
    (third,) = [o.stop_price for o in rig.listed()]
    assert third == second  # it never gives room back
    rig.drive_to(rig.near("0.97"))
    assert rig.settle().state == S.DONE


def test_its_time_ends_a_position_at_the_market(rig: Rig) -> None:
    rig.buy(stop=rig.near("0.95"), time_exit_s=3600)
    rig.settle()
    Bracket.objects.update(exit_at=rig.bracket.opened_at)
    bracket = rig.settle()
    assert (bracket.state, bracket.exit_reason) == (S.DONE, "TIME_EXIT")
    assert rig.listed() == []
    assert rig.desk.position().quantity < Decimal("0.00001")


def test_a_stop_limit_the_market_jumped_over_is_sold_at_the_market(rig: Rig) -> None:
    """Pain 13: a limit stop that does not fill is escalated."""
    stop = rig.near("0.99")
    rig.buy(stop=stop, stop_limit=stop, escalate_after_s=1)
    rig.settle()
    rig.leap_to(rig.near("0.96"))
    rig.round()
    assert rig.bracket.breached_at is not None
    Bracket.objects.update(breached_at=rig.bracket.opened_at - timedelta(minutes=1))
    bracket = rig.settle()
    assert (bracket.state, bracket.exit_reason) == (S.DONE, "STOP_NOT_FILLED")
    assert rig.desk.position().quantity < Decimal("0.00001")


def test_unprotected_for_too_long_is_closed_and_called(rig: Rig) -> None:
    """The stop is refused again and again: past the limit the position goes, and people are told."""
    from nautilus_site.common.models import OutboxEvent

    rig.buy(stop=rig.near("0.95"))
    rig.send()
    rig.hear()
    rig.exchange.control(
        "POST",
        "/faults",
        {
            "match": {"path": "/api/v3/order", "method": "POST", "count": 2},
            "effect": {"error_before": {"status": 400, "code": -2010}},
        },
    )
    rig.step()
    rig.send()
    assert rig.legs("stop")[0].status == "REJECTED"
    rig.step()
    assert rig.bracket.unprotected_since is not None
    assert rig.bracket.last_refusal.startswith("-2010")
    rig.desk.limit(unprotected_max_age=1)
    long_ago = rig.bracket.opened_at - timedelta(minutes=1)
    Bracket.objects.update(unprotected_since=long_ago)
    Order.objects.filter(status="REJECTED").update(ended_at=long_ago)
    bracket = rig.settle()
    assert (bracket.state, bracket.exit_reason) == (S.DONE, "UNPROTECTED_TOO_LONG")
    assert rig.desk.position().quantity < Decimal("0.00001")
    told = OutboxEvent.objects.filter(topic="incidents", data__kind="unprotected_position")
    assert told.count() == 1


def test_the_answer_to_a_list_is_lost_and_both_legs_are_found(rig: Rig) -> None:
    """Pain 9: an unknown outcome is looked up, never sent again."""
    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.send()
    rig.hear()
    rig.exchange.fault("/api/v3/orderList/oco", "POST", error_after="drop")
    rig.step()
    rig.send()
    assert {o.status for o in rig.legs("stop") + rig.legs("take_profit")} == {"UNKNOWN"}
    rig.step()
    assert rig.bracket.state == S.ARMING
    assert rig.settle().state == S.PROTECTED
    assert len(rig.listed()) == 2
    assert Order.objects.filter(origin="protection").count() == 2


def test_a_leg_the_venue_does_not_find_by_its_id_is_found_in_its_list(rig: Rig) -> None:
    from trading.services.execution.resolve import order_resolve

    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.send()
    rig.hear()
    rig.exchange.fault("/api/v3/orderList/oco", "POST", error_after="drop")
    rig.step()
    rig.send()
    (stop,) = rig.legs("stop")
    # The venue's database lags: the look-up of the order is answered from before it was placed.
    match = {"path": "/api/v3/order", "method": "GET", "symbol": "BTCUSDT", "count": 1}
    not_there = {"error_before": {"status": 400, "code": -2013}}
    rig.exchange.control("POST", "/faults", {"match": match, "effect": not_there})
    assert order_resolve(order_id=stop.pk, venue=rig.desk.venue) == "NEW"
    assert rig.desk.fresh(stop).not_found_at_ms == []
    assert rig.settle().state == S.PROTECTED


def test_an_orphan_is_found_and_cancelled(rig: Rig) -> None:
    """Pain 3: no protective order outlives its bracket."""
    from nautilus_site.common.clock import now
    from trading.services.brackets import orphans_sweep

    rig.buy(stop=rig.near("0.95"))
    rig.settle()
    Bracket.objects.update(state=S.DONE, ended_at=now())
    assert len(rig.listed()) == 1
    assert orphans_sweep(rig.desk.account.pk) == 1
    rig.cancel()
    assert rig.listed() == []


def test_a_fill_after_everything_was_over_is_guarded(rig: Rig) -> None:
    """Pain 11: cancelled, over, and then the fill comes after all."""
    from nautilus_site.common.clock import now
    from trading.services.brackets import orphans_sweep

    rig.buy(stop=rig.near("0.95"))
    Bracket.objects.update(state=S.DONE, ended_at=now())
    rig.send()
    rig.hear()
    orphans_sweep(rig.desk.account.pk)
    assert rig.settle().state == S.PROTECTED
    assert BracketEvent.objects.filter(what="reopened").exists()


@pytest.mark.parametrize(
    ("exits", "words"),
    [
        ({"stop": "1.01"}, "wrong side of the entry"),
        ({"stop": "0.95", "take_profits": (("0.99", None),)}, "wrong side of the entry"),
        ({"take_profits": (("1.05", "0.7"), ("1.06", "0.7"))}, "more than the whole"),
        ({"trailing": "0.9", "raw": True}, "fraction"),
    ],
)
def test_exits_that_contradict_the_entry_are_refused(rig: Rig, exits: dict[str, object], words: str) -> None:
    raw = exits.pop("raw", False)
    given: dict[str, object] = {}
    for name, value in exits.items():
        if name == "take_profits":
            given[name] = tuple(
                (rig.near(p), Decimal(s) if s else None)
                for p, s in value  # type: ignore[attr-defined]
            )
        else:
            given[name] = Decimal(str(value)) if raw else rig.near(str(value))
    with pytest.raises(ApplicationError) as refusal:
        rig.buy(**given)
    assert words in refusal.value.message
    assert not Bracket.objects.exists()
    assert not Order.objects.exists()


def test_a_denied_entry_opens_no_bracket(rig: Rig) -> None:
    from trading.services.orders import OrderDenied

    rig.desk.limit(max_notional=1)
    with pytest.raises(OrderDenied):
        rig.buy(stop=rig.near("0.95"))
    assert not Bracket.objects.exists()
    assert Order.objects.get().status == "DENIED"
