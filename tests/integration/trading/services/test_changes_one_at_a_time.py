"""What people change is judged against what is in force when it is written, however many change it at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction

from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from trading.models import RiskLimit
from trading.services.controls import limit_change, limits_install

pytestmark = pytest.mark.django_db(transaction=True)


def change(value: int, person: User) -> Any:
    return limit_change(
        name="max_notional", scope="global", value=Decimal(value), reason="at once", actor=person
    )


def value_now() -> Decimal:
    return RiskLimit.objects.get(name="max_notional", scope="global").value


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])


def beside(pool: ThreadPoolExecutor, act: Callable[[], Any]) -> Future[Any]:
    """Start it in another thread and wait until it waits for its turn."""

    def run() -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    future = pool.submit(run)
    deadline = time.monotonic() + 20
    while not somebody_waits():
        assert time.monotonic() < deadline, "it did not wait for its turn"
        assert not future.done(), "it did not wait for its turn"
        time.sleep(0.01)
    return future


def test_two_who_lower_at_once_do_not_raise_together(make_user: Callable[..., User]) -> None:
    """5,000, lowered to 3,000 and to 4,000 at the same moment, was 4,000 where both had looked before either wrote."""
    limits_install(actor="test")
    first, second = make_user("risk_officer"), make_user("risk_officer")
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            change(3000, first)
            later = beside(pool, lambda: change(4000, second))
        outcome = later.result(timeout=20)
    assert isinstance(outcome, ChangeRequest), "by then 4,000 loosens"
    assert value_now() == 3000


def test_an_approval_does_not_undo_a_tightening_it_had_not_seen(make_user: Callable[..., User]) -> None:
    limits_install(actor="test")
    first, second = make_user("risk_officer"), make_user("risk_officer")
    request = change(9000, first)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            change(3000, first)
            later = beside(pool, lambda: change_request_approve(request_id=request.pk, approver=second))
        with pytest.raises(Conflict, match="changed after"):
            later.result(timeout=20)
    assert value_now() == 3000
    assert ChangeRequest.objects.get(pk=request.pk).state == ChangeRequest.State.VOID
