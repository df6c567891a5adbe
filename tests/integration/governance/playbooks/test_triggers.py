"""Every trigger: its measure over real rows, at its threshold and not below, to the effect on a real order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.models import PlaybookAction
from governance.services.playbooks import actions_verify
from nautilus_site.common.clock import now
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from trading.domain.orders import OrderStatus
from trading.models import (
    Account,
    Bracket,
    EquitySnapshot,
    LossMeasure,
    Order,
    Position,
    RiskLimit,
    TradingState,
)
from trading.services.orders import OrderDenied
from universe.models import Bar, Instrument, Quote


def equity(desk: Desk, *, below_peak_pct: float = 0.0, lost: Decimal = Decimal(0)) -> None:
    """The account's result as the equity tick would have written it."""
    latest = EquitySnapshot.objects.filter(account=desk.account).latest("at").equity
    peak = latest / (1 - Decimal(str(below_peak_pct)) / 100)
    Account.objects.filter(pk=desk.account.pk).update(peak_equity=peak, day_start_equity=latest + lost)
    EquitySnapshot.objects.update(at=now())
    LossMeasure.objects.update(day_start=latest + lost, value=latest, measured_at=now() + timedelta(hours=1))


def order_row(desk: Desk, status: str, **changes: Any) -> Order:
    """A stored order of now in some state."""
    order = desk.submit("BUY", "0.001", price="50000")
    Order.objects.filter(pk=order.pk).update(status=status, **changes)
    return order


def bars(instrument: Instrument, closes: list[float]) -> None:
    """Closed minutes up to now."""
    moment = now().replace(second=0, microsecond=0)
    for back, close in enumerate(reversed(closes), start=1):
        opened = moment - timedelta(minutes=back)
        Bar.objects.create(
            instrument=instrument, interval="1m", open_time=opened, close_time=opened + timedelta(seconds=59),
            open=close, high=close, low=close, close=close, volume=1, quote_volume=close, trades=1, taker_base=0,
            received_at=now(), source="stream",
        )  # fmt: skip


def hold(desk: Desk, symbol: str, quantity: str, price: str) -> None:
    """A position and the books that go with it."""
    cost = Decimal(quantity) * Decimal(price)
    Position.objects.update_or_create(
        account=desk.account,
        instrument=desk.instruments[symbol],
        defaults={"quantity": Decimal(quantity), "cost": cost},
    )


def drawdown(desk: Desk, over: bool) -> None:
    equity(desk, below_peak_pct=5.01 if over else 4.99)


def venue_lag(desk: Desk, over: bool) -> None:
    took = timedelta(milliseconds=801 if over else 799)
    for _ in range(5):
        order_row(desk, OrderStatus.CANCELED, sent_at=now() - took, acknowledged_at=now())
    for order in Order.objects.all():
        Order.objects.filter(pk=order.pk).update(acknowledged_at=order.sent_at + took)


def reject_spike(desk: Desk, over: bool) -> None:
    desk.limit(
        orders_per_minute=1000, repeated_executions=1000, near_duplicate_window=0, max_open_orders=1000
    )
    orders = [desk.submit("BUY", "0.001", price="50000") for _ in range(25 if over else 24)]
    # What trading waits for is not the orders' fault.
    for code in ("CLOCK_OFFSET", "PRICE_STALE", "BLACKOUT", "TRADING_HALTED", "NOT_RECONCILED"):
        Order.objects.filter(pk=orders.pop().pk).update(status=OrderStatus.DENIED, code=code)
    for number, order in enumerate(orders):
        status = OrderStatus.REJECTED if number % 2 else OrderStatus.DENIED
        Order.objects.filter(pk=order.pk).update(status=status)


def entropy_spike(desk: Desk, over: bool) -> None:
    # 0.5 bits of (0.89, 0.11) against 0.801 or 0.799: binary entropies, computed apart.
    calm = {"p_up": 0.8899721, "p_down": 0.1100279}
    unsure = {"p_up": 0.7563852, "p_down": 0.2436148} if over else {"p_up": 0.7576053, "p_down": 0.2423947}
    for features in [calm] * 6 + [unsure] * 6:
        decision = desk.decide(0.1)
        decision.features = features
        decision.save()


def corr_spike(desk: Desk, over: bool) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    common, own = rng.normal(0, 0.001, 40), rng.normal(0, 0.001, (3, 40))
    for number, instrument in enumerate(desk.instruments.values()):
        moves = common + own[number] * (0.3 if over else 3.0)
        bars(instrument, [float(price) for price in 100 * np.exp(np.cumsum(moves))])


def stale_data(desk: Desk, over: bool) -> None:
    Quote.objects.filter(instrument=desk.btc).update(
        received_at=now() - timedelta(seconds=121 if over else 100)
    )


def depeg(desk: Desk, over: bool) -> None:
    pair = Instrument.objects.create(
        venue=desk.venue_row, symbol="USDCUSDT", market="spot", base_asset="USDC", quote_asset="USDT",
        status="TRADING", filters=desk.btc.filters, first_seen_at=now(), updated_at=now(),
    )  # fmt: skip
    bars(pair, [0.99, 0.985, 0.9949] if over else [0.98, 0.99, 0.9951])


def funding_spike(desk: Desk, over: bool) -> None:
    Quote.objects.filter(instrument=desk.btc).update(
        funding_rate=Decimal("-0.0015") if over else Decimal("0.00149")
    )


def unprotected_position(desk: Desk, over: bool) -> None:
    Bracket.objects.create(
        account=desk.account, instrument=desk.btc, exit_side="SELL", state="PROTECTED", source="person",
        stop_price=50000, unprotected_since=now() - timedelta(seconds=46 if over else 40),
        unprotected_quantity=Decimal("0.1"), opened_at=now(), updated_at=now(),
    )  # fmt: skip


def daily_loss(desk: Desk, over: bool) -> None:
    equity(desk, lost=Decimal("100.00") if over else Decimal("99.99"))


def position(desk: Desk, over: bool) -> None:
    hold(desk, "BTCUSDT", "0.0334" if over else "0.0333", "60000")  # 2004 and 1998 USDT at 60000


def leverage(desk: Desk, over: bool) -> None:
    hold(desk, "BTCUSDT", "5.01" if over else "4.99", "60000")  # over 100000 USDT of cash: 3.006 and 2.994


def open_trades(desk: Desk, over: bool) -> None:
    hold(desk, "BTCUSDT", "0.01", "60000")
    hold(desk, "ETHUSDT", "0.1", "3000")
    if over:
        hold(desk, "BNBUSDT", "1", "600")


@dataclass(frozen=True)
class Case:
    name: str
    arrange: Callable[[Desk, bool], None]
    scope: str
    times: int
    denied: str | None
    """The code an order that adds risk is denied with afterwards; None where it only gets smaller."""
    changes: tuple[tuple[str, Any], ...] = ()


CASES = [
    Case("drawdown", drawdown, "account:desk", 2, "BLACKOUT"),
    Case("venue_lag", venue_lag, "venue:binance-spot", 1, "BLACKOUT"),
    Case("reject_spike", reject_spike, "account:desk", 1, "BLACKOUT"),
    Case("entropy_spike", entropy_spike, "strategy:trend", 2, None),
    Case("corr_spike", corr_spike, "global", 3, None),
    Case("stale_data", stale_data, "symbol:BTCUSDT", 2, "BLACKOUT"),
    Case("depeg", depeg, "global", 1, "BLACKOUT"),
    Case("funding_spike", funding_spike, "symbol:BTCUSDT", 2, "BLACKOUT"),
    Case("unprotected_position", unprotected_position, "symbol:BTCUSDT", 1, "TRADING_HALTED"),
    Case("daily_loss", daily_loss, "global", 1, "TRADING_HALTED"),
    Case("position", position, "global", 2, "TRADING_HALTED"),
    Case("leverage", leverage, "global", 2, "TRADING_HALTED"),
    Case("open_trades", open_trades, "global", 2, "TRADING_HALTED", (("threshold", 3.0),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_at_the_threshold_it_acts_its_effect_is_seen_and_new_risk_is_denied(
    case: Case, desk: Desk, arm: Arm, watch: Watch
) -> None:
    book = arm(case.name, **dict(case.changes))
    case.arrange(desk, True)
    assert watch(case.times - 1) is None, "it wants so many readings in a row"
    incident = watch()
    assert incident is not None
    assert (incident.kind, incident.scope, incident.state) == (case.name, case.scope, "open")
    assert incident.evidence["measured"] >= book.threshold
    assert incident.evidence["threshold"] == book.threshold
    actions_verify()
    actions = PlaybookAction.objects.filter(run__incident=incident)
    assert {action.state for action in actions} == {"verified"}
    assert len(actions) == len(book.actions)
    desk.quote("BTCUSDT", "59990", "60010")
    Order.objects.all().update(created_at=now() - timedelta(hours=1))
    if case.denied is not None:
        with pytest.raises(OrderDenied) as denied:
            desk.submit("BUY", "0.001", price="59000")
        assert denied.value.code == case.denied


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_just_below_the_threshold_nothing_happens(case: Case, desk: Desk, arm: Arm, watch: Watch) -> None:
    arm(case.name, **dict(case.changes))
    case.arrange(desk, False)
    levels = dict(TradingState.objects.values_list("scope", "level"))
    limits = set(RiskLimit.objects.values_list("name", "scope", "value"))
    assert watch(case.times + 2) is None
    assert dict(TradingState.objects.values_list("scope", "level")) == levels
    assert set(RiskLimit.objects.values_list("name", "scope", "value")) == limits


def test_entropy_halves_what_the_strategy_may_send(desk: Desk, arm: Arm, watch: Watch) -> None:
    before = RiskLimit.objects.get(name="max_notional", scope="global").value
    arm("entropy_spike")
    entropy_spike(desk, True)
    watch(2)
    assert RiskLimit.objects.get(name="max_notional", scope="strategy:trend").value == before / 2
    assert RiskLimit.objects.get(name="max_notional", scope="global").value == before


def test_a_quote_that_came_too_late_to_rest_is_no_reject(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("reject_spike")
    reject_spike(desk, True)
    Order.objects.update(type="LIMIT_MAKER", venue_type="LIMIT_MAKER", code="-2010")
    assert watch() is None
    Order.objects.update(code="-1013")
    assert watch() is not None
