"""Migrations that move what is held from one set of buckets to another, run over rows of the version before."""

from __future__ import annotations

import importlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from trading.models import ExposureBucket, ExposureEscrow, RiskLimit
from trading.services.bucket_sweep import buckets_sweep

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def run(module: str, name: str) -> None:
    """What the migration's own statement does to the rows there are."""
    statement: str = getattr(importlib.import_module(f"trading.migrations.{module}"), name)
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("%", "%%"), [])


@pytest.fixture
def trading(desk: Desk) -> Desk:
    """Two symbols held or asked for by a strategy and by people, as any version keeps them in orders and positions."""
    desk.limit(near_duplicate_window=0)
    trend = desk.strategies["trend"]
    desk.send(desk.submit("BUY", "0.02", price="60010", strategy=trend))
    desk.submit("BUY", "0.1", symbol="ETHUSDT", price="3000", strategy=trend)
    desk.submit("BUY", "0.2", symbol="ETHUSDT", price="3000")
    return desk


def of_before(cap: int) -> Decimal:
    """One global row holding everything, and no escrow: as it was before 0018."""
    held = ExposureBucket.objects.get(scope="account:desk").used
    ExposureBucket.objects.filter(scope__startswith="global:").delete()
    ExposureEscrow.objects.all().delete()
    RiskLimit.objects.filter(name="exposure_global").update(value=cap)
    ExposureBucket.objects.create(scope="global", used=held, cap=max(held, Decimal(cap)))
    return Decimal(held)


def test_0018_divides_the_global_row_into_what_each_account_holds(trading: Desk) -> None:
    held = of_before(40_000)
    run("0018_escrow", "_DIVIDE")
    assert not ExposureBucket.objects.filter(scope="global").exists()
    part = ExposureBucket.objects.get(scope="global:desk")
    assert (part.used, part.cap, part.overrun) == (held, held, 0)
    escrow = ExposureEscrow.objects.get()
    assert (escrow.cap, escrow.granted, escrow.cap_target) == (40_000, held, None)
    assert buckets_sweep() == []
    assert trading.submit("BUY", "0.001", price="59500").status == "RESERVED", "there is room as before"


def test_0018_on_more_than_the_cap_lets_it_apply_as_use_falls(trading: Desk) -> None:
    held = of_before(1_000)
    run("0018_escrow", "_DIVIDE")
    escrow = ExposureEscrow.objects.get()
    assert (escrow.cap, escrow.granted, escrow.cap_target) == (held, held, 1_000)
    assert buckets_sweep() == []


def test_0018_on_an_empty_database_makes_nothing(db: Any) -> None:
    run("0018_escrow", "_DIVIDE")
    assert not ExposureBucket.objects.exists()
    assert not ExposureEscrow.objects.exists()


def test_0022_counts_what_each_strategy_holds_of_each_symbol(trading: Desk) -> None:
    kept = {
        row.scope: row.used for row in ExposureBucket.objects.filter(scope__startswith="strategy_symbol:")
    }
    assert set(kept) == {"strategy_symbol:trend:BTCUSDT", "strategy_symbol:trend:ETHUSDT"}
    ExposureBucket.objects.filter(scope__in=kept).delete()
    RiskLimit.objects.filter(name__in=["exposure_strategy_symbol", "exposure_group"]).delete()
    run("0022_caps_by_strategy_and_group", "_COUNT")
    rows = ExposureBucket.objects.filter(scope__startswith="strategy_symbol:")
    assert {row.scope: row.used for row in rows} == kept
    assert buckets_sweep() == []
    limits = RiskLimit.objects.filter(name__in=["exposure_strategy_symbol", "exposure_group"])
    assert {row.name: row.value for row in limits} == {
        "exposure_strategy_symbol": 10_000,
        "exposure_group": 30_000,
    }
    assert (
        trading.submit("BUY", "0.001", price="59500", strategy=trading.strategies["trend"]).status
        == "RESERVED"
    )
