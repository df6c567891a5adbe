"""Money taken out of a futures account is no loss to any breaker or rail, at no moment; a loss of that size is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from nautilus_site.common.clock import now
from tests.factories.exchange import FuturesExchange, running_exchange
from tests.integration.trading.books.test_against_the_exchange import Desk, open_desk
from trading.domain.values import Level
from trading.models import CircuitBreaker, EquityAnchor, LossMeasure
from trading.services.breakers import breakers_ensure, breakers_evaluate
from trading.services.controls import states_install
from trading.services.equity import equity_mark
from trading.services.income import income_sweep
from trading.services.losses import losses_measure

pytestmark = pytest.mark.django_db
LOSSES = ("drawdown", "daily_loss", "pnl_velocity")
MOVED = 30_000
"""Of 100,000: more than each of the three breakers bears."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    day = (now() - timedelta(days=5)).strftime("%Y-%m-%d")
    with running_exchange("BTCUSDT", "BNBUSDT", options=("--start", f"{day}T10:00:00")) as address:
        yield address


@pytest.fixture
def desk(url: str) -> Desk:
    desk = open_desk(FuturesExchange(url), "usdm")
    states_install(level=Level.ACTIVE, reason="test", actor="test")
    breakers_ensure()
    # Everything measured from here on counts.
    CircuitBreaker.objects.update(changed_at=now() - timedelta(days=1))
    for _ in range(3):
        equity_mark()
    losses_measure()
    assert judged() == dict.fromkeys(LOSSES, "closed")
    return desk


def judged() -> dict[str, str]:
    breakers_evaluate()
    return dict(CircuitBreaker.objects.filter(name__in=LOSSES).values_list("name", "state"))


def transfer(desk: Desk, amount: int) -> None:
    account_id = desk.exchange.account["account_id"]
    body = {"market": "usdm", "asset": "USDT", "amount": str(amount)}
    desk.exchange.control("POST", f"/accounts/{account_id}/transfer", body)


def lost() -> dict[str, tuple[Decimal, int]]:
    """What the rails go by, per scope: the loss of the day and how far below the peak, in millionths."""
    losses_measure()
    return {row.scope: (row.day_start - row.value, row.drawdown_ppm) for row in LossMeasure.objects.all()}


@pytest.mark.parametrize("amount", [-MOVED, MOVED])
def test_a_transfer_is_no_loss_before_it_is_booked_nor_between_that_and_the_next_mark_nor_after(
    desk: Desk, amount: int
) -> None:
    transfer(desk, amount)
    nothing = {f"account:{desk.account.name}": (0, 0), "global": (0, 0)}

    def quiet(when: str) -> None:
        assert judged() == dict.fromkeys(LOSSES, "closed"), when
        assert lost() == nothing, when
        for anchor in EquityAnchor.objects.all():
            assert anchor.equity == anchor.day_start_equity == anchor.peak_equity, (when, anchor)

    equity_mark()
    quiet("the venue has it and we have not read it")
    assert income_sweep(desk.account, desk.exchange.venue) == 1
    quiet("booked, and what is marked is from before")
    equity_mark()
    quiet("booked and marked")
    desk.account.refresh_from_db()
    assert (desk.account.transferred, desk.account.peak_equity) == (amount, 100_000 + amount)


def test_a_loss_of_that_size_opens_all_three(desk: Desk) -> None:
    exchange = desk.exchange
    exchange.control("POST", "/market", {"symbol": "BTCUSDT", "market": "usdm", "liquidity": 500})
    exchange.advance(2)
    _, ask = exchange.touch()
    bought = desk.market("BUY", f"{(Decimal(1_000_000) / ask).quantize(Decimal('0.001'))}")
    fallen = (ask * Decimal("0.965")).quantize(Decimal("0.1"))
    exchange.drive((1, fallen), (60, fallen), market="usdm", seconds=8)
    desk.market("SELL", f"{bought.executed_quantity}")
    equity_mark()
    assert desk.account.equitysnapshot_set.latest("pk").equity < 100_000 - MOVED
    assert judged() == dict.fromkeys(LOSSES, "open")
    loss, drawdown = lost()[f"account:{desk.account.name}"]
    assert loss > MOVED
    assert drawdown > 300_000


def test_a_loss_beside_a_transfer_is_seen_as_large_as_it_is(desk: Desk) -> None:
    """60,000 leave and 10,000 of the other 40,000 are lost: a quarter, not seven tenths."""
    transfer(desk, -60_000)
    income_sweep(desk.account, desk.exchange.venue)
    equity_mark()
    account = desk.account
    account.refresh_from_db()
    balance = account.balances.get(asset="USDT")
    balance.amount -= 10_000
    balance.save(update_fields=["amount"])
    equity_mark()
    assert judged() == dict.fromkeys(LOSSES, "open")
    measured = CircuitBreaker.objects.filter(name__in=LOSSES).values_list("name", "measured")
    assert {name: round(value, 6) for name, value in measured} == dict.fromkeys(LOSSES, 25)
