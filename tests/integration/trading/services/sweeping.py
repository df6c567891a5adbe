"""Sweeps as the tests run them: one look at the venue, time that passes, a stranger's order, rows that are lost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import F

from trading.domain.ports import VenueOrder
from trading.domain.sweeps import Sweep
from trading.domain.values import OrderType, Side, TimeInForce
from trading.models import Account, Divergence, Fill, ReconcileRun, SweepState, TradeCursor, TradingState
from trading.services.reconcile import account_reconcile, sweep_if_due

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def run(desk: Desk, sweep: Sweep = Sweep.TRADES, trigger: str = "periodic") -> ReconcileRun:
    done = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger=trigger, sweep=sweep)
    assert done is not None
    return done


def due(desk: Desk) -> ReconcileRun | None:
    account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    return sweep_if_due(account=account, venue=lambda: desk.venue)


def later(seconds: float) -> None:
    """Let that much time pass for everything the sweeps remember."""
    by = timedelta(seconds=seconds)
    Divergence.objects.update(
        first_seen_at=F("first_seen_at") - by,
        same_since=F("same_since") - by,
        last_seen_at=F("last_seen_at") - by,
    )
    TradeCursor.objects.update(swept_at=F("swept_at") - by, deep_swept_at=F("deep_swept_at") - by)
    SweepState.objects.update(started_at=F("started_at") - by, finished_at=F("finished_at") - by)
    Account.objects.update(reconciled_at=F("reconciled_at") - by)


def stranger(cid: str, price: str = "60010", quantity: str = "0.01") -> VenueOrder:
    return VenueOrder(
        "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, Decimal(quantity), Decimal(price), cid
    )


def level(scope: str) -> int:
    row = TradingState.objects.filter(scope=scope).first()
    return row.level if row else 0


def forget(fill: Fill) -> None:
    """What a restored backup or a careless hand does: the rows are gone, the caches are not."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE trading_fill DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE trading_ledgerentry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM trading_ledgerentry WHERE fill_id = %s", [fill.pk])
        cursor.execute("DELETE FROM trading_fill WHERE id = %s", [fill.pk])
        cursor.execute("ALTER TABLE trading_ledgerentry ENABLE TRIGGER USER")
        cursor.execute("ALTER TABLE trading_fill ENABLE TRIGGER USER")
