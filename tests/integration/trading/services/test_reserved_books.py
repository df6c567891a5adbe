"""An order's books, locked in one statement as their last holder left them; and the order as it is told."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import connection, transaction

from nautilus_site.common.models import OutboxEvent
from tests.factories.threads import run_together
from trading.models import Balance, ExposureBucket, Order, Position
from trading.selectors.orders import order_get, order_members
from trading.services.exposure import bucket_scopes
from trading.services.reserved_books import Books, books_locked, books_seen, books_take

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def read(desk: Desk) -> Books:
    return books_locked(desk.account, desk.btc, "BOTH", "trend")


def test_books_that_had_to_be_waited_for_are_read_as_their_holder_left_them(shared_desk: Desk) -> None:
    """The statement began before the holder wrote: its snapshot is older than what it must return."""
    desk = shared_desk
    with transaction.atomic():
        read(desk)  # the rows are made
    locked = threading.Event()

    def hold() -> None:
        with transaction.atomic():
            books = read(desk)
            locked.set()
            with connection.cursor() as cursor:
                waits = False
                while not waits:
                    cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
                    waits = bool(cursor.fetchone()[0])
            assert books_take(
                books,
                desk.account,
                buy=Decimal("0.5"),
                asset="USDT",
                promised=Decimal(30),
                notional=Decimal(0),
            )
            Balance.objects.filter(account=desk.account, asset="USDT").update(amount=777)
            ExposureBucket.objects.filter(scope="account:desk").update(used=12)

    def ask() -> Books:
        locked.wait(30)
        with transaction.atomic():
            return read(desk)

    _, books = run_together(hold, ask)
    assert isinstance(books, Books)
    assert books.position.open_buy == Decimal("0.5")
    assert (books.balances["USDT"].amount, books.balances["USDT"].reserved) == (777, 30)
    assert books.buckets["account:desk"].used == 12


def test_books_are_made_where_they_are_missing_and_seen_without_being_made(desk: Desk) -> None:
    Position.objects.all().delete()
    ExposureBucket.objects.all().delete()
    seen = books_seen(desk.account, desk.btc, "BOTH", "trend")
    assert (seen.position.pk, dict(seen.buckets)) == (None, {})
    assert Position.objects.count() == 0
    made = read(desk)
    assert made.position.pk == Position.objects.get().pk
    assert list(made.buckets) == bucket_scopes("desk", "BTCUSDT", "trend")
    assert read(desk) == made


def test_a_full_cap_takes_nothing_and_says_so(desk: Desk) -> None:
    books = read(desk)
    ExposureBucket.objects.update(cap=9)
    ExposureBucket.objects.filter(scope="strategy:trend").update(cap=5)
    with transaction.atomic():
        assert not books_take(books, desk.account, notional=Decimal(6))
        transaction.set_rollback(True)
    assert books_take(books, desk.account, notional=Decimal(5))
    assert set(ExposureBucket.objects.values_list("used", flat=True)) == {Decimal(5)}


def test_a_new_order_is_told_with_its_first_step_exactly_as_it_is_read_later(desk: Desk) -> None:
    order = desk.submit("BUY", "0.01")
    desk.authorise(order)
    told = [row.data for row in OutboxEvent.objects.filter(topic="orders").order_by("pk")]
    assert told[-1] == order_members(order_get(order.uid))
    assert [step["status"] for step in told[0]["events"]] == ["RESERVED"]
    stored = Order.objects.get(pk=order.pk)
    for field in Order._meta.concrete_fields:
        if field.name not in ("status", "fence", "timestamp_ms", "recv_window_ms", "sent_at", "updated_at"):
            assert getattr(stored, field.attname) == getattr(order, field.attname), field.name
