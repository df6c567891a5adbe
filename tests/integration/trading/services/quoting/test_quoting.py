"""From a step to what stands in the book: placed, moved, kept, and taken back whenever something is not in order."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from tests.integration.trading.services.quoting.quotes import as_wanted, quotes_of
from trading.domain.values import Level
from trading.models import Blackout, CircuitBreaker, Decision, Order, Plan, StrategyInstance
from trading.services import quoting
from trading.services.planning import plan_refresh
from trading.services.strategies import Place, book_step, instance_add, strategy_disable, strategy_step
from universe.models import StreamState

if TYPE_CHECKING:
    from tests.factories.trading import Desk
    from tests.integration.trading.services.quoting.conftest import Maker


def test_both_quotes_come_to_stand_as_post_only_orders_of_a_plan(maker: Maker) -> None:
    maker.round()
    assert maker.standing() == as_wanted(maker)
    orders = list(quotes_of(maker).select_related("plan", "decision"))
    assert [(o.side, o.type, o.time_in_force, o.status) for o in orders] == [
        ("BUY", "LIMIT_MAKER", "", "NEW"),
        ("SELL", "LIMIT_MAKER", "", "NEW"),
    ]
    plan = orders[0].plan
    assert orders[1].plan == plan
    assert plan is not None
    assert plan.parent_quantity == sum(order.quantity for order in orders)
    (share,) = plan.shares.all()
    assert share.decision == orders[0].decision
    assert share.decision.quotes == maker.wanted()
    assert share.decision.trigger == "book"


def test_an_order_of_a_quote_has_passed_every_rail(maker: Maker) -> None:
    from trading.domain.risk import RAILS

    maker.round()
    for order in quotes_of(maker):
        assert [check["rail"] for check in order.checks] == [rail.name for rail in RAILS]


def test_looking_again_changes_nothing_and_says_nothing(maker: Maker) -> None:
    maker.round()
    before = Order.objects.count(), Plan.objects.count(), Decision.objects.count()
    maker.round(times=3)
    assert (Order.objects.count(), Plan.objects.count(), Decision.objects.count()) == before


def test_a_fill_moves_the_inventory_and_both_quotes_with_it(maker: Maker) -> None:
    maker.round()
    before = maker.instance.said["features"]
    (_, bid, _), _ = maker.standing()
    maker.trade_down_to(bid)
    maker.round("59990", "60010")
    after = maker.instance.said["features"]
    # A lot of 0.001, of which the venue kept a thousandth
    assert after["inventory_lots"] - before["inventory_lots"] == pytest.approx(0.999)
    assert after["bid_depth_bps"] > before["bid_depth_bps"]
    assert after["ask_depth_bps"] < before["ask_depth_bps"]


def test_its_fills_are_shown_to_it_once(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading.domain.strategies.market_maker import MarketMaker

    shown: list[tuple[float, float, bool]] = []
    original = MarketMaker.step

    def watched(self: Any, params: Any, state: Any, seen: Any) -> Any:
        shown.extend((fill.quantity, fill.price, fill.maker) for fill in seen.fills)
        return original(self, params, state, seen)

    monkeypatch.setattr(MarketMaker, "step", watched)
    maker.round()
    (_, bid, _), _ = maker.standing()
    maker.trade_down_to(bid)
    maker.round("59990", "60010", times=3)
    # What it was given by the market order of the fixture came before its first step at a book.
    assert shown[-1] == (0.001, float(bid), True)
    assert shown.count((0.001, float(bid), True)) == 1


def test_disabling_takes_the_quotes_back_and_keeps_the_position(
    maker: Maker, hints: list[tuple[str, dict[str, Any]]], django_capture_on_commit_callbacks: Any
) -> None:
    maker.round()
    held = maker.desk.position().quantity
    hints.clear()
    with django_capture_on_commit_callbacks(execute=True):
        strategy_disable(name=maker.strategy.name, actor="test", reason="drill")
    where = {"account_id": maker.desk.account.pk, "instrument_id": maker.desk.btc.pk}
    assert ("trading.tasks.plan_refresh", where) in hints
    plan_refresh(**where)
    maker.send()
    assert maker.standing() == []
    assert maker.desk.position().quantity == held
    assert not book_step(instance_id=maker.instance.pk), "it is not asked any more"
    assert plan_refresh(account_id=maker.desk.account.pk, instrument_id=maker.desk.btc.pk) == []


def test_silence_of_two_bars_takes_the_quotes_back_and_calls_people_once(maker: Maker) -> None:
    from nautilus_site.common.models import OutboxEvent

    maker.round()
    just = now() - timedelta(minutes=2) + timedelta(seconds=5)
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(stepped_at=just)
    assert maker.refreshed == []
    assert len(maker.standing()) == 2, "not yet two bars"
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(stepped_at=just - timedelta(seconds=10))
    for _ in range(2):
        assert maker.refreshed == []
        maker.send()
    assert maker.standing() == []
    incidents = OutboxEvent.objects.filter(topic="incidents", data__kind="quotes_silent")
    assert incidents.count() == 1
    maker.round(times=2)
    assert maker.standing() == as_wanted(maker), "it has spoken again"


def test_bars_without_a_step_count_as_silence_and_steps_at_books_do_not(maker: Maker) -> None:
    """Market time may run faster than ours: two bars are two bars."""
    from tests.integration.trading.services.test_strategies import bars

    maker.round()
    bars(maker.desk, [60000.0, 60000.0], first=maker.bars)
    maker.refreshed  # noqa: B018
    maker.send()
    assert len(maker.standing()) == 2, "one bar and a part of another have passed"
    bars(maker.desk, [60000.0], first=maker.bars + 2)
    maker.refreshed  # noqa: B018
    maker.send()
    assert maker.standing() == []
    maker.look(after_s=180.0)
    assert maker.step()
    maker.send()
    assert len(maker.standing()) == 2, "it sees the book of now, whatever bars it has still to be shown"


def _halted(maker: Maker) -> None:
    maker.desk.kill(Level.REDUCING)


def _breaker(maker: Maker) -> None:
    CircuitBreaker.objects.filter(scope=f"venue:{maker.desk.venue_row.name}").update(state="open")


def _blackout(maker: Maker) -> None:
    Blackout.objects.create(
        scope="symbol:BTCUSDT", starts_at=now(), ends_at=now() + timedelta(minutes=5), reason="maintenance",
        created_by="test", created_at=now(),
    )  # fmt: skip


def _expired(maker: Maker) -> None:
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(in_force_until=now())


def _unheard(maker: Maker) -> None:
    StreamState.objects.filter(name="market:binance-spot").update(
        last_message_at=now() - timedelta(seconds=31)
    )


def _disconnected(maker: Maker) -> None:
    StreamState.objects.filter(name="market:binance-spot").update(connected_at=None)


def _no_book(maker: Maker) -> None:
    maker.desk.quote("BTCUSDT", None, "60010")


def _joined(maker: Maker) -> None:
    StrategyInstance.objects.create(
        strategy=maker.desk.strategies["swing"], account=maker.desk.account, instrument=maker.desk.btc
    )


@pytest.mark.parametrize(
    "trouble", [_halted, _breaker, _blackout, _unheard, _disconnected, _expired, _no_book, _joined]
)
def test_whatever_is_not_in_order_takes_the_quotes_back_and_keeps_the_position(
    maker: Maker, trouble: Any
) -> None:
    maker.round()
    held = maker.desk.position().quantity
    assert len(maker.standing()) == 2
    trouble(maker)
    for _ in range(2):
        assert plan_refresh(account_id=maker.desk.account.pk, instrument_id=maker.desk.btc.pk) == []
        maker.send()
    assert maker.standing() == []
    assert maker.desk.position().quantity == held


def test_a_grant_that_is_gone_takes_the_quotes_back_and_then_sells(maker: Maker) -> None:
    maker.round()
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(weight=0)
    where = {"account_id": maker.desk.account.pk, "instrument_id": maker.desk.btc.pk}
    assert plan_refresh(**where) == []
    maker.send()
    (order,) = plan_refresh(**where)
    assert (order.side, order.type) == ("SELL", "MARKET")
    maker.send()
    assert maker.desk.position().quantity < Decimal("0.00001")
    assert maker.standing() == []


def test_a_step_that_fails_takes_the_quotes_back_until_the_next_bar(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading.domain.strategies.market_maker import MarketMaker

    maker.round()
    state = maker.instance.state

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("somebody's own code")

    with monkeypatch.context() as patch:
        patch.setattr(MarketMaker, "step", broken)
        maker.look()
        assert not maker.step()
    maker.refreshed  # noqa: B018
    maker.send()
    assert maker.standing() == []
    assert maker.instance.state == state, "nothing of that step is kept"
    assert not maker.step()
    maker.close_bar(60000.0)
    maker.round(times=2)
    assert len(maker.standing()) == 2


def test_before_its_pace_a_side_is_not_placed_again_and_only_what_is_too_near_is_taken_back(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quoting, "PACE", timedelta(seconds=30))
    maker.round()
    first = maker.standing()
    maker.round("59992", "60012", times=3)
    # The market rose by 2: the bid is too far away and stands, the ask is too near and is gone.
    assert maker.standing() == first[:1]
    Order.objects.filter(strategy=maker.strategy).update(created_at=now() - timedelta(seconds=31))
    maker.round("59992", "60012")
    assert len(maker.standing()) == 2


def test_the_window_of_the_rail_for_near_duplicates_is_kept(maker: Maker) -> None:
    """A quote one tick beside the last is nearly the same order: asked too early the rail would deny it."""
    maker.desk.limit(near_duplicate_window=30)
    maker.round()
    maker.round("59990.05", "60010.05", times=3)
    assert not Order.objects.filter(status="DENIED").exists()
    assert [side for side, _, _ in maker.standing()] == ["BUY"], "the ask was too near and waits for its turn"


def test_what_the_rails_deny_is_not_asked_again_at_once(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quoting, "PACE_DENIED", timedelta(seconds=10))
    maker.desk.limit(max_open_orders=0)
    maker.round(times=4)
    assert [side for side, _, _ in maker.standing()] == ["SELL"], "what reduces passes this rail"
    assert Order.objects.filter(status="DENIED").count() == 1


def test_nothing_is_placed_on_an_old_step(maker: Maker) -> None:
    maker.look()
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(stepped_at=now() - timedelta(seconds=6))
    assert maker.refreshed == []
    assert not quotes_of(maker).exists()


def test_capital_bounds_what_is_bid_for_whatever_the_strategy_wants(maker: Maker) -> None:
    # 0.0020979 held is 125.87 of 150: 24.13 is left, of the lot of 60 that is wanted
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(allocation=150)
    maker.round()
    (side, price, size), _ = maker.standing()
    assert side == "BUY"
    assert Decimal(size) == Decimal("0.0004")
    assert (
        (Decimal("0.0020979") + Decimal(size)) * 60_000 <= 150 < (Decimal("0.00211") + Decimal(size)) * 60_000
    )
    assert Decimal(price) < 60_010


def test_a_quote_that_shrinks_is_amended_and_keeps_its_place(maker: Maker) -> None:
    maker.round()
    (before,) = quotes_of(maker).filter(side="BUY")
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(allocation=150)
    maker.refreshed  # noqa: B018
    maker.send()
    (after,) = quotes_of(maker).filter(side="BUY")
    assert (after.pk, after.status, after.quantity) == (before.pk, "NEW", Decimal("0.0004"))
    assert ("BUY", f"{after.price.normalize():f}", "0.0004") in maker.standing()


def test_it_is_not_stepped_more_often_than_it_allows(maker: Maker) -> None:
    pk = maker.instance.pk
    maker.look()
    StrategyInstance.objects.filter(pk=pk).update(stepped_at=now() - timedelta(seconds=1))
    assert book_step(instance_id=pk)
    assert not book_step(instance_id=pk)


def test_a_book_that_stands_still_is_looked_at_every_second(maker: Maker) -> None:
    from trading.services.strategies import books_due

    pk = maker.instance.pk
    assert books_due() == []
    StrategyInstance.objects.filter(pk=pk).update(stepped_at=now() - timedelta(seconds=1.1))
    assert books_due() == [pk]


def test_quotes_of_a_strategy_that_does_not_say_it_makes_a_market_are_refused(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading.domain.strategies.market_maker import MarketMaker

    monkeypatch.setattr(MarketMaker, "makes_market", False)
    decided = Decision.objects.count()
    maker.look()
    maker.close_bar(60000.0)
    assert strategy_step(instance_id=maker.instance.pk) is None
    assert not maker.step()
    assert Decision.objects.count() == decided
    assert not quotes_of(maker).exists()


def test_a_market_maker_and_another_cannot_be_put_on_one_symbol(maker: Maker) -> None:
    from tests.factories.trading import trader

    admin = trader()
    place = Place(maker.desk.account.name, "BTCUSDT")
    with pytest.raises(Conflict) as refused:
        instance_add(name="swing", place=place, actor=admin, reason="drill")
    assert refused.value.code == "SYMBOL_TAKEN"
    with pytest.raises(Conflict) as refused:
        instance_add(
            name=maker.strategy.name,
            place=Place(maker.desk.account.name, "ETHUSDT"),
            actor=admin,
            reason="drill",
        )
    assert refused.value.code in ("SYMBOL_TAKEN", "INSTANCE_EXISTS")


def test_an_unrelated_desk_is_planned_as_ever(desk: Desk) -> None:
    desk.decide(0.5)
    assert len(plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)) == 1
