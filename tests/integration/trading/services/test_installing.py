"""Installing what every platform needs: once, each written down, whoever else does the same."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.db.models.signals import post_migrate
from django.test.utils import CaptureQueriesContext

from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.threads import run_together
from trading.models import CircuitBreaker, RiskLimit
from trading.receivers import complete_limits
from trading.services.breakers import breakers_install
from trading.services.breakers.catalogue import KINDS
from trading.services.controls import LIMITS, limit_change, limits_install
from trading.services.controls.limits_in_force import limits_in_force

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


@pytest.mark.django_db
def test_a_limit_that_came_with_this_version_has_its_row_after_migrating_where_there_are_limits() -> None:
    complete_limits(sender=None)
    assert not RiskLimit.objects.exists(), "a platform nobody has set up: its first limits are people's"
    limits_install(actor="first", values={"max_notional": Decimal(7)})
    RiskLimit.objects.filter(name="key_max_age").delete()
    complete_limits(sender=None)
    assert RiskLimit.objects.get(name="key_max_age").value == 90
    assert RiskLimit.objects.get(name="max_notional").value == 7
    assert complete_limits in [receiver() for _, receiver, *_ in post_migrate.receivers]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "safer", "riskier"), [("key_max_age", 30, 91), ("min_notional", 11, 9)])
def test_a_limit_without_a_row_is_tightened_or_loosened_from_its_default(
    risk_officer: User, second_risk_officer: User, name: str, safer: int, riskier: int
) -> None:
    limits_install(actor="first")
    RiskLimit.objects.filter(name=name).delete()

    def change(value: int, scope: str = "global") -> RiskLimit | ChangeRequest:
        return limit_change(name=name, scope=scope, value=Decimal(value), reason="r", actor=risk_officer)

    asked, void = change(riskier), change(riskier)
    assert isinstance(asked, ChangeRequest)
    assert asked.diff == {"value": [str(LIMITS[name].default), str(riskier)]}
    assert isinstance(void, ChangeRequest)
    assert not RiskLimit.objects.filter(name=name).exists()
    change_request_approve(request_id=asked.pk, approver=second_risk_officer)
    assert RiskLimit.objects.get(name=name).value == riskier
    with pytest.raises(Conflict, match="changed"):  # there was no row to lock, and now there is one
        change_request_approve(request_id=void.pk, approver=second_risk_officer)
    RiskLimit.objects.filter(name=name).delete()
    assert isinstance(change(safer), RiskLimit)
    assert isinstance(change(riskier, "account:desk"), RiskLimit), (
        "beside the one for everything it is one more"
    )


@pytest.mark.django_db
def test_a_limit_no_order_is_judged_by_holds_with_its_default_where_nobody_has_set_it() -> None:
    limits_install(actor="first")
    RiskLimit.objects.filter(name="key_max_age", scope="global").update(scope="account:desk", value=1000)
    assert limits_in_force(["global", "account:desk"]).values["key_max_age"] == 90
    RiskLimit.objects.filter(name="key_max_age").update(value=7)
    assert limits_in_force(["global", "account:desk"]).values["key_max_age"] == 7
    RiskLimit.objects.filter(name="max_notional").delete()
    with pytest.raises(ApplicationError, match="max_notional"):
        limits_in_force(["global"])


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
