"""What is not there must not read as nothing wrong: answers, prices, stops and results that never came or are old."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from governance.services.playbooks.measures import MEASURES, Unmeasured
from nautilus_site.common.clock import now
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import (
    bars,
    hold,
    order_row,
    stale_data,
    unprotected_position,
)
from trading.domain.breakers import Reading
from trading.domain.orders import OrderStatus
from trading.domain.values import Level
from trading.models import (
    Account,
    Bracket,
    BracketLeg,
    EquitySnapshot,
    Fill,
    LossMeasure,
    Order,
    Position,
    StrategyInstance,
    SymbolAllowance,
)
from trading.services.controls import effective_level
from universe.models import Bar, Instrument, Quote, StreamState


def read(name: str, scope: str = "global", window_s: float = 300) -> Reading:
    moment = now()
    return MEASURES[name](scope, moment - timedelta(seconds=window_s), moment)


def long_ago(hours: float = 9) -> Any:
    return now() - timedelta(hours=hours)


def test_a_result_of_hours_ago_is_no_result_of_now(desk: Desk) -> None:
    assert read("daily_loss").value == 0.0
    LossMeasure.objects.update(measured_at=long_ago())
    with pytest.raises(Unmeasured, match="last written down 324"):
        read("daily_loss")
    LossMeasure.objects.all().delete()
    with pytest.raises(Unmeasured, match="never written down"):
        read("daily_loss")
    assert read("drawdown", "account:desk").samples == 1
    EquitySnapshot.objects.update(at=long_ago())
    with pytest.raises(Unmeasured, match="equity was last written down"):
        read("drawdown", "account:desk")


def test_before_an_account_is_open_there_is_nothing_to_lose(desk: Desk) -> None:
    LossMeasure.objects.all().delete()
    EquitySnapshot.objects.all().delete()
    Account.objects.update(opened_at=None)
    assert read("daily_loss").samples == read("drawdown", "account:desk").samples == 0


def test_in_a_replay_that_hurries_results_are_as_old_as_they_are(desk: Desk, settings: Any) -> None:
    settings.WALL_TIME_RAILS = False
    LossMeasure.objects.update(measured_at=long_ago())
    assert read("daily_loss").samples == 1


def sent(desk: Desk, *kinds: tuple[int, OrderStatus, dict[str, Any]]) -> None:
    """So many orders of each kind; all of them asked for before any is in doubt, which would deny the next."""
    desk.limit(
        orders_per_minute=1000, repeated_executions=1000, near_duplicate_window=0, max_open_orders=1000
    )
    orders = [desk.submit("BUY", "0.001", price="50000").pk for count, _, _ in kinds for _ in range(count)]
    for count, status, times in kinds:
        Order.objects.filter(pk__in=[orders.pop() for _ in range(count)]).update(status=status, **times)


def test_an_order_without_an_answer_has_waited_until_now(desk: Desk) -> None:
    ago = now() - timedelta(seconds=60)
    quick = {"sent_at": ago, "acknowledged_at": ago + timedelta(milliseconds=100)}
    sent(desk, (7, OrderStatus.UNKNOWN, {"sent_at": ago}), (5, OrderStatus.NEW, quick))
    told = read("venue_lag", "venue:binance-spot")
    # (7 x 60 s + 5 x 0.1 s) / 12
    assert (told.samples, told.value) == (12, pytest.approx(35_042, rel=0.02))
    assert "7 of them unanswered" in told.detail


def test_a_venue_that_answers_nothing_is_slow_for_as_long_as_it_does(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    sent(desk, (5, OrderStatus.UNKNOWN, {"sent_at": now() - timedelta(minutes=20)}))
    arm("venue_lag")
    incident = watch()
    assert incident is not None
    assert incident.evidence["measured"] == pytest.approx(1_200_000, rel=0.02)
    # One forgotten order says nothing against a venue that answers the others.
    Order.objects.filter(pk__in=Order.objects.values("pk")[:4]).update(
        status=OrderStatus.NEW, sent_at=now(), acknowledged_at=now()
    )
    assert read("venue_lag", "venue:binance-spot").value < 100


def test_an_order_that_never_arrived_was_waited_for_until_that_was_known(desk: Desk) -> None:
    ago = now() - timedelta(seconds=60)
    sent(desk, (5, OrderStatus.ABSENT, {"sent_at": ago, "ended_at": ago + timedelta(seconds=25)}))
    assert read("venue_lag", "venue:binance-spot").value == pytest.approx(25_000)


def pair(desk: Desk, base: str, closes: list[float]) -> None:
    made = Instrument.objects.create(
        venue=desk.venue_row, symbol=f"{base}USDT", market="spot", base_asset=base, quote_asset="USDT",
        status="TRADING", filters=desk.btc.filters, first_seen_at=now(), updated_at=now(),
    )  # fmt: skip
    bars(made, closes)


def test_a_coin_with_one_close_hides_no_other(desk: Desk, arm: Arm, watch: Watch) -> None:
    pair(desk, "USDC", [0.95, 0.95, 0.95])
    pair(desk, "DAI", [0.94])
    told = read("depeg")
    assert (told.samples, told.value) == (3, pytest.approx(5.0))
    arm("depeg")
    assert watch() is not None


def test_a_symbol_with_few_bars_hides_no_correlation(desk: Desk, arm: Arm, watch: Watch) -> None:
    moves = np.random.default_rng(1).normal(0, 0.001, 40)
    first, second, third = desk.instruments.values()
    for instrument in (first, second):
        bars(instrument, [float(price) for price in 100 * np.exp(np.cumsum(moves))])
    bars(third, [100.0, 101.0])
    told = read("corr_spike", window_s=3600)
    assert (told.samples, told.value) == (39, pytest.approx(1.0))
    assert f"too few bars of {third.symbol}" in told.detail
    arm("corr_spike")
    assert watch(3) is not None


def test_only_bars_of_the_window_are_compared(desk: Desk) -> None:
    moves = np.random.default_rng(1).normal(0, 0.001, 40)
    for instrument in desk.instruments.values():
        bars(instrument, [float(price) for price in 100 * np.exp(np.cumsum(moves))])
    assert read("corr_spike", window_s=3600).samples == 39
    assert read("corr_spike", window_s=600).samples == 10
    Bar.objects.update(received_at=long_ago(48))
    assert read("corr_spike", window_s=3600).samples == 0


def test_a_price_that_never_came_is_as_old_as_what_should_have_brought_it(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    Quote.objects.filter(instrument=desk.btc).delete()
    SymbolAllowance.objects.update(added_at=long_ago())
    StreamState.objects.create(name="market:binance-spot", connected_at=now() - timedelta(seconds=119))
    arm("stale_data")
    assert watch(3) is None, "the stream has been there for less than two minutes"
    StreamState.objects.filter(name="market:binance-spot").update(connected_at=now() - timedelta(seconds=121))
    incident = watch(2)
    assert incident is not None
    assert incident.scope == "symbol:BTCUSDT"
    assert "no price has arrived" in incident.title
    Instrument.objects.filter(pk=desk.btc.pk).update(status="BREAK")
    assert read("stale_data", "symbol:BTCUSDT").samples == 0, "the venue does not trade it now"


def test_what_is_held_is_looked_at_though_it_may_not_be_traded_any_more(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    hold(desk, "BTCUSDT", "0.1", "60000")
    SymbolAllowance.objects.filter(instrument=desk.btc).delete()
    stale_data(desk, True)
    arm("stale_data")
    incident = watch(2)
    assert incident is not None
    assert incident.scope == "symbol:BTCUSDT"


def test_one_person_taking_a_symbol_off_the_list_hides_no_naked_position(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    unprotected_position(desk, True)
    SymbolAllowance.objects.filter(instrument=desk.btc).delete()
    arm("unprotected_position")
    assert watch() is not None
    assert effective_level(["global", "symbol:BTCUSDT"])[0] is Level.REDUCING


def guarded(desk: Desk, *, stepped: timedelta, stop: bool) -> Bracket:
    """A position of 0.1 BTC whose bracket was stepped so long ago and saw nothing wrong then."""
    hold(desk, "BTCUSDT", "0.1", "60000")
    bracket = Bracket.objects.create(
        account=desk.account, instrument=desk.btc, exit_side="SELL", state="PROTECTED", source="strategy",
        covers_all=True, stop_price=50000, opened_at=long_ago(), updated_at=now() - stepped,
    )  # fmt: skip
    if stop:
        order = desk.submit("BUY", "0.001", price="50000")
        Order.objects.filter(pk=order.pk).update(
            side="SELL", type="STOP_MARKET", origin="protection", quantity=Decimal("0.1"), stop_price=50000,
            reduce_only=True, status=OrderStatus.NEW,
        )  # fmt: skip
        BracketLeg.objects.create(bracket=bracket, order=order, role="stop", group=1)
    return bracket


def test_a_bracket_nobody_steps_does_not_look_guarded(desk: Desk, arm: Arm, watch: Watch) -> None:
    guarded(desk, stepped=timedelta(hours=9), stop=False)
    assert read("unprotected_position", "symbol:BTCUSDT").value == pytest.approx(9 * 3600, abs=60)
    arm("unprotected_position")
    assert watch() is not None


def test_a_stop_at_the_venue_guards_whoever_looks(desk: Desk) -> None:
    bracket = guarded(desk, stepped=timedelta(hours=9), stop=True)
    assert read("unprotected_position", "symbol:BTCUSDT").value == 0.0
    Order.objects.filter(bracket_leg__bracket=bracket).update(quantity=Decimal("0.05"))
    assert read("unprotected_position", "symbol:BTCUSDT").value > 9 * 3600 - 60, "half of it has none"


def test_a_gap_is_as_old_as_the_last_look_that_saw_none(desk: Desk) -> None:
    guarded(desk, stepped=timedelta(seconds=1), stop=False)
    assert read("unprotected_position", "symbol:BTCUSDT").value < 10


def test_a_position_that_should_have_a_bracket_and_has_none_is_judged(desk: Desk) -> None:
    hold(desk, "BTCUSDT", "0.1", "60000")
    Position.objects.update(updated_at=long_ago())
    assert read("unprotected_position", "symbol:BTCUSDT").value == 0.0, "people hold it without a stop"
    StrategyInstance.objects.filter(pk=desk.instances["trend:BTCUSDT"].pk).update(
        target=0.5, protection={"stop": 50000.0}
    )
    told = read("unprotected_position", "symbol:BTCUSDT")
    assert told.value == pytest.approx(9 * 3600, abs=60)
    assert "without a bracket" in told.detail
    Position.objects.update(quantity=Decimal("-0.1"))
    assert read("unprotected_position", "symbol:BTCUSDT").value == 0.0, "it is on its way to turn"


def filled(desk: Desk, trade_id: int, side: str, quantity: str, at: Any) -> None:
    """A trade of ours, as it was booked."""
    order = Order.objects.first() or order_row(desk, OrderStatus.FILLED)
    Fill.objects.create(
        account=desk.account, instrument=desk.btc, order=order, trade_id=trade_id, side=side,
        price=60000, quantity=Decimal(quantity), quote_quantity=60000 * Decimal(quantity), commission=0,
        commission_asset="USDT", commission_quote=0, maker=False, traded_at=at, recorded_at=at, source="stream",
    )  # fmt: skip


def test_a_position_that_is_filled_again_and_again_is_naked_since_it_was_opened(desk: Desk) -> None:
    StrategyInstance.objects.filter(pk=desk.instances["trend:BTCUSDT"].pk).update(
        target=0.5, protection={"stop": 50000.0}
    )
    moment = now()
    # Sold out but for a crumb, then opened two minutes ago and added to since.
    for number, (side, quantity, ago) in enumerate(
        [("BUY", "0.2", 900), ("SELL", "0.199999", 600), ("BUY", "0.05", 120), ("BUY", "0.05", 40), ("BUY", "0.05", 1)]
    ):  # fmt: skip
        filled(desk, number + 1, side, quantity, moment - timedelta(seconds=ago))
    hold(desk, "BTCUSDT", "0.150001", "60000")
    Position.objects.update(updated_at=moment)
    assert read("unprotected_position", "symbol:BTCUSDT").value == pytest.approx(120, abs=20)
    bracket = guarded(desk, stepped=timedelta(0), stop=True)
    Bracket.objects.filter(pk=bracket.pk).update(ended_at=moment - timedelta(seconds=60))
    hold(desk, "BTCUSDT", "0.150001", "60000")
    assert read("unprotected_position", "symbol:BTCUSDT").value == pytest.approx(60, abs=20)
