"""Brackets on the paper exchange's USD-M market: conditional orders that only reduce, long and short."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.brackets import BracketState
from trading.models import Order
from trading.services.venue_events import venue_event_store, venue_events_settle

S = BracketState


def test_a_long_is_guarded_by_conditional_orders_that_hold_nothing(futures: Rig) -> None:
    """Pain 17: a bracket on USD-M, which ties no orders together itself."""
    futures.buy("0.02", stop=futures.near("0.95"), take_profits=((futures.near("1.05"), None),))
    bracket = futures.settle()
    assert bracket.state == S.PROTECTED
    assert sorted(futures.open_at_venue()) == ["STOP_MARKET 0.02", "TAKE_PROFIT_MARKET 0.02"]
    assert all(o.service == "algo" for o in futures.listed())
    assert futures.desk.position().open_sell == 0


def test_a_stop_that_could_not_be_sent_for_long_is_sent_when_it_can_be(futures: Rig) -> None:
    """A decision grows too old to be sent; the protection of what is held does not."""
    futures.buy("0.02", stop=futures.near("0.95"))
    futures.look()
    futures.send()
    futures.hear()
    futures.step()
    (stop,) = futures.legs("stop")
    (entry,) = Order.objects.exclude(pk=stop.pk)
    assert (stop.status, stop.expires_at) == ("RESERVED", None)
    assert entry.expires_at is not None
    Order.objects.filter(expires_at__isnull=False).update(expires_at=entry.created_at - timedelta(hours=1))
    futures.send()
    assert futures.open_at_venue() == ["STOP_MARKET 0.02"]


def test_the_stop_trades_and_the_sibling_is_confirmed_gone(futures: Rig) -> None:
    """Pains 3 and 4: the other conditional order is cancelled by its algo id, and its end is the venue's word."""
    futures.buy("0.02", stop=futures.near("0.99"), take_profits=((futures.near("1.05"), None),))
    futures.settle()
    futures.drive_to(futures.near("0.98"))
    bracket = futures.settle()
    assert futures.desk.position().quantity == 0
    assert bracket.state == S.DONE
    assert futures.listed() == []
    assert [o.status for o in futures.legs("take_profit")] == ["CANCELED"]


def test_a_short_is_guarded_from_above(futures: Rig) -> None:
    futures.ask("SELL", "0.02", stop=futures.near("1.01"), take_profits=((futures.near("0.95"), None),))
    assert futures.settle().state == S.PROTECTED
    futures.drive_to(futures.near("1.02"))
    assert futures.settle().state == S.DONE
    assert futures.desk.position().quantity == 0
    assert futures.listed() == []


def test_a_take_profit_of_a_part_leaves_the_stop_cut_to_the_rest(futures: Rig) -> None:
    targets = ((futures.near("1.01"), Decimal("0.5")), (futures.near("1.10"), Decimal("0.5")))
    futures.buy("0.02", stop=futures.near("0.95"), take_profits=targets)
    futures.settle()
    futures.drive_to(futures.near("1.02"))
    bracket = futures.settle()
    assert futures.desk.position().quantity == Decimal("0.01")
    assert bracket.state == S.PROTECTED
    assert sorted(futures.open_at_venue()) == ["STOP_MARKET 0.01", "TAKE_PROFIT_MARKET 0.01"]


def test_the_venue_trails_by_itself(futures: Rig) -> None:
    futures.buy("0.02", trailing=Decimal("0.01"))
    assert futures.settle().state == S.PROTECTED
    assert futures.open_at_venue() == ["TRAILING_STOP_MARKET 0.02"]
    futures.drive_to(futures.near("1.02"))
    futures.round()
    futures.drive_to(futures.near("0.98"))
    assert futures.settle().state == S.DONE
    assert futures.desk.position().quantity == 0


def test_a_sale_beside_the_protection_is_not_refused_and_the_rest_is_guarded(futures: Rig) -> None:
    """Pain 19: protection holds nothing of the position, and is cut to what is left."""
    futures.buy("0.03", stop=futures.near("0.95"))
    futures.settle()
    sale = futures.ask("SELL", "0.01")
    bracket = futures.settle()
    assert futures.desk.fresh(sale).status == "FILLED"
    assert bracket.state == S.PROTECTED
    assert futures.open_at_venue() == ["STOP_MARKET 0.02"]


def refused_at_its_trigger(futures: Rig) -> None:
    """The venue has thrown the stop away, and one message, about the trigger, is all that reaches us."""
    (stop,) = futures.legs("stop")
    assert stop.algo_id is not None
    futures.desk.venue.cancel("BTCUSDT", client_order_id=stop.client_order_id)
    venue_event_store(
        account_id=futures.desk.account.pk,
        event={
            "e": "CONDITIONAL_ORDER_TRIGGER_REJECT",
            "T": 1,
            "or": {"s": "BTCUSDT", "i": stop.algo_id, "r": "ReduceOnly Order is rejected."},
        },
    )
    venue_events_settle(account_id=futures.desk.account.pk)
    stop.refresh_from_db()
    assert (stop.status, stop.code) == ("EXPIRED", "TRIGGER_REJECTED")


def test_a_stop_refused_at_its_trigger_is_placed_anew(futures: Rig) -> None:
    futures.buy("0.02", stop=futures.near("0.95"))
    futures.settle()
    refused_at_its_trigger(futures)
    assert futures.listed() == []
    assert futures.settle().state == S.PROTECTED
    assert futures.open_at_venue() == ["STOP_MARKET 0.02"]
    assert futures.desk.position().quantity == Decimal("0.02")


def test_where_the_market_is_beyond_it_the_position_is_closed_instead(futures: Rig) -> None:
    futures.buy("0.02", stop=futures.near("0.99"))
    futures.settle()
    refused_at_its_trigger(futures)
    futures.drive_to(futures.near("0.97"))
    bracket = futures.settle()
    assert (bracket.state, bracket.exit_reason) == (S.DONE, "STOP_BREACHED")
    assert futures.desk.position().quantity == 0
    assert futures.listed() == []
