"""The build handshake: a worker left over from another deployment gets no lane and sends nothing (C19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.leases import deployment_announce, lease_acquire
from trading.services import deployment
from trading.services.execution.authorise import LeaseLost, order_authorise
from trading.services.execution.drain import orders_drain

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture(autouse=True)
def _venue(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: desk.venue)


def _drain(desk: Desk) -> int:
    return orders_drain(account_id=desk.account.pk, shard=0)


def test_a_worker_of_the_deployed_build_sends(desk: Desk) -> None:
    deployment.build_deploy()
    order = desk.submit()
    assert _drain(desk) == 1
    assert desk.fresh(order).status == "NEW"


def test_a_worker_of_another_build_gets_no_lease_sends_nothing_and_says_so(desk: Desk) -> None:
    deployment_announce("f00d-another-build")
    order = desk.submit()
    assert _drain(desk) == 0
    assert desk.venue.placed == []
    assert desk.fresh(order).status == "RESERVED"
    refusal = AuditEntry.objects.get(action="build.refused")
    assert refusal.after == {"ours": deployment.build_identity(), "deployed": "f00d-another-build"}


def test_a_deployment_in_the_middle_of_a_drain_stops_it_before_its_next_order(desk: Desk) -> None:
    deployment.build_deploy()
    order = desk.submit()
    held = lease_acquire(name="shard:desk:0", holder="old", build=deployment.build_identity())
    assert held is not None
    deployment_announce("f00d-the-next-build")
    with pytest.raises(LeaseLost, match="BUILD_REFUSED"):
        order_authorise(order_id=order.pk, held=held, venue_time_ms=desk.venue.server_time_ms())
    assert desk.fresh(order).status == "RESERVED"


def test_deploying_is_audited_once_per_build(desk: Desk) -> None:
    deployment.build_deploy()
    deployment.build_deploy()
    assert AuditEntry.objects.filter(action="build.deployed").count() == 1


def test_the_identity_follows_code_migrations_and_rails(monkeypatch: pytest.MonkeyPatch) -> None:
    here = deployment.build_identity()
    monkeypatch.setattr(deployment, "migration_heads", lambda: {"trading": "9999_other"})
    assert deployment.build_identity.__wrapped__() != here
    assert len(here) <= 64
