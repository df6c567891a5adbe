"""Installing what every platform needs: once, each written down, whoever else does the same."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nautilus_site.common.models import AuditEntry
from tests.factories.threads import run_together
from trading.models import CircuitBreaker, RiskLimit
from trading.services.breakers import breakers_install
from trading.services.breakers.catalogue import KINDS
from trading.services.controls import LIMITS, limits_install

OF_A_VENUE = sorted(f"{kind.name}@venue:one" for kind in KINDS.values() if kind.of == "venue")


def written(action: str) -> list[str]:
    return list(AuditEntry.objects.filter(action=action).order_by("pk").values_list("target", flat=True))


@pytest.mark.django_db
def test_limits_are_installed_with_their_defaults_and_each_is_written_down_in_their_order() -> None:
    limits_install(actor="test", values={"max_notional": Decimal("12.5")})
    rows = {row.name: row for row in RiskLimit.objects.filter(scope="global")}
    assert set(rows) == set(LIMITS)
    for name, kind in LIMITS.items():
        value = Decimal("12.5") if name == "max_notional" else kind.default
        row = rows[name]
        assert (row.value, row.unit, row.tighter, row.description) == (
            value,
            kind.unit,
            kind.tighter,
            kind.description,
        )
        assert (row.changed_by, row.policy_version, row.in_force_until) == ("test", 1, None)
    assert written("limit.installed") == [f"{name}@global" for name in LIMITS]


@pytest.mark.django_db
def test_a_second_installation_fills_only_what_is_missing() -> None:
    limits_install(actor="first")
    RiskLimit.objects.filter(name="max_notional").update(value=7)
    RiskLimit.objects.filter(name="price_max_age").delete()
    with CaptureQueriesContext(connection) as queries:
        limits_install(actor="second")
    assert RiskLimit.objects.get(name="max_notional").value == 7
    assert RiskLimit.objects.get(name="price_max_age").changed_by == "second"
    assert written("limit.installed") == [*(f"{name}@global" for name in LIMITS), "price_max_age@global"]
    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(statements) == 3, statements


@pytest.mark.django_db(transaction=True)
def test_processes_that_install_at_once_make_each_row_and_its_entry_once() -> None:
    def install() -> None:
        limits_install(actor="one of them")
        breakers_install(venue="one", actor="one of them")

    assert run_together(*[install] * 4) == [None] * 4
    assert sorted(RiskLimit.objects.values_list("name", flat=True)) == sorted(LIMITS)
    assert sorted(written("limit.installed")) == sorted(f"{name}@global" for name in LIMITS)
    there = [f"{name}@{scope}" for name, scope in CircuitBreaker.objects.values_list("name", "scope")]
    assert sorted(there) == sorted(written("breaker.installed")) == OF_A_VENUE
