"""The books of a USD-M account as a property: whatever order its facts come in, and however often, they end the same.

The expected wallet and quantities are sums, and what a closing earns is the average-cost arithmetic written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.domain.ports import IncomeReport
from trading.models import LedgerEntry, Position, SubBalance, SubPosition
from trading.services.books.verify import books_verify
from trading.services.income import income_book

if TYPE_CHECKING:
    from tests.factories.futures import Futures

UNIT = Decimal("1E-8")
FEE = Decimal("0.0004")
OWNERS = ("a", "b", "")


@dataclass(frozen=True)
class Fact:
    """A fill: thousandths bought (or, negative, sold), on which side, at what price, for whom."""

    thousandths: int
    position_side: str
    price: int
    owner: str

    @property
    def quantity(self) -> Decimal:
        return Decimal(abs(self.thousandths)) / 1000

    @property
    def fee(self) -> Decimal:
        return self.quantity * self.price * FEE


def fills(hedge: bool) -> st.SearchStrategy[list[Fact]]:
    """Two to five fills; in hedge mode a side is only closed as far as it is open."""

    @st.composite
    def made(draw: st.DrawFn) -> list[Fact]:
        held = {"LONG": 0, "SHORT": 0, "BOTH": 0}
        facts = []
        for _ in range(draw(st.integers(2, 5))):
            side = draw(st.sampled_from(["LONG", "SHORT"])) if hedge else "BOTH"
            size = draw(st.integers(1, 40))
            sign = draw(st.sampled_from([1, -1]))
            opens = {"LONG": 1, "SHORT": -1}.get(side, sign)
            if hedge and sign != opens:
                size = min(size, abs(held[side]))
                if not size:
                    continue
            held[side] += sign * size
            facts.append(
                Fact(sign * size, side, draw(st.integers(50_000, 70_000)), draw(st.sampled_from(OWNERS)))
            )
        return facts

    return made()


def earned(facts: list[Fact]) -> list[Decimal]:
    """What the venue says each fill realised: against the average price of its side, to 1e-8."""
    held: dict[str, tuple[Fraction, Fraction]] = {}
    told = []
    for fact in facts:
        quantity, average = held.get(fact.position_side, (Fraction(0), Fraction(0)))
        traded, price = Fraction(fact.thousandths, 1000), Fraction(fact.price)
        closed = Fraction(0)
        if quantity * traded < 0:
            closed = min(abs(quantity), abs(traded))
        gained = closed * (price - average) * (1 if quantity > 0 else -1)
        after = quantity + traded
        if closed < abs(traded):  # what opens moves the average; a flip begins anew
            opened = abs(traded) - closed
            before = abs(quantity) if not closed else Fraction(0)
            average = (before * average + opened * price) / (before + opened)
        held[fact.position_side] = (after, average)
        told.append((Decimal(gained.numerator) / Decimal(gained.denominator)).quantize(UNIT))
    return told


def income(kind: str, number: int, cents: int) -> IncomeReport:
    symbol = "BTCUSDT" if kind == "FUNDING_FEE" else None
    return IncomeReport(f"{kind}{number}", kind, "USDT", Decimal(cents) / 100, symbol, None, 1_000 + number)


def books(futures: Futures) -> dict[str, Any]:
    """Everything the account's books say; which owner had what of it may hang on what was known when it was paid."""
    entries = LedgerEntry.objects.order_by().values_list("transaction", "owner", "asset", "kind")
    return {
        "wallet": futures.wallet(),
        "positions": sorted(
            Position.objects.values_list("position_side", "quantity", "cost", "realized", "commission")
        ),
        "parts": sorted(
            row
            for row in SubPosition.objects.exclude(owner="@netting").values_list(
                "position__position_side", "owner", "quantity", "cost", "realized", "commission"
            )
            if any(row[2:])  # who was only paid funding has a part of nothing
        ),
        "funding": Position.objects.aggregate(paid=Sum("funding"))["paid"] or 0,
        "ledger": sorted(
            row for row in entries.annotate(total=Sum("amount")) if row[-1] and row[0].startswith("income")
        ),
        "by_kind": sorted(
            LedgerEntry.objects.filter(owner="account")
            .order_by()
            .values_list("kind")
            .annotate(total=Sum("amount"))
        ),
    }


@pytest.mark.parametrize("hedge", [False, True])
def test_the_books_do_not_depend_on_the_order_or_the_repetition_of_their_facts(db: None, hedge: bool) -> None:
    from tests.factories.futures import futures_account

    futures = futures_account(hedge=hedge)

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        facts=fills(hedge),
        paid=st.lists(st.integers(-500, 500), max_size=2),
        moved=st.lists(st.integers(-50_000, 50_000), max_size=2),
        random=st.randoms(use_true_random=False),
    )
    def holds(facts: list[Fact], paid: list[int], moved: list[int], random: Any) -> None:
        told = earned(facts)
        rows = [income("FUNDING_FEE", n, cents) for n, cents in enumerate(paid)]
        rows += [income("TRANSFER", n, cents) for n, cents in enumerate(moved)]
        wallet = 10_000 + sum(told) - sum(f.fee for f in facts) + sum(r.amount for r in rows)

        def booked(order: Callable[[list[Any]], list[Any]]) -> dict[str, Any]:
            futures.strategies.clear()  # those of the run before are rolled back
            with transaction.atomic():
                messages: list[Any] = []
                for number, (fact, realized) in enumerate(zip(facts, told, strict=True), start=1):
                    who = {"strategy": fact.owner} if fact.owner else {}
                    side = "BUY" if fact.thousandths > 0 else "SELL"
                    placed = futures.order(
                        side, str(fact.quantity), str(fact.price), position_side=fact.position_side, **who
                    )
                    trade = futures.trade(
                        placed,
                        str(fact.quantity),
                        str(fact.price),
                        realized=str(realized),
                        fee=str(fact.fee),
                        trade_id=number,
                    )
                    messages.append((placed, trade))
                for message in order([*messages, *rows]):
                    if isinstance(message, IncomeReport):
                        income_book(futures.account, [message])
                    else:
                        futures.settle(message[0], "FILLED", message[1])
                after = books(futures)
                assert books_verify(futures.account, full=True).differences == []
                owned = SubBalance.objects.filter(asset="USDT").aggregate(total=Sum("amount"))["total"]
                assert owned == after["wallet"]
                transaction.set_rollback(True)
            return after

        expected = booked(lambda messages: messages)
        assert expected["wallet"] == wallet
        for side, quantity, *_ in expected["positions"]:
            ours = [f.thousandths for f in facts if f.position_side == side]
            assert quantity == Decimal(sum(ours)) / 1000

        def shuffled_and_repeated(messages: list[Any]) -> list[Any]:
            many = messages + random.sample(messages, k=min(3, len(messages)))
            random.shuffle(many)
            return many

        assert booked(shuffled_and_repeated) == expected

    holds()
