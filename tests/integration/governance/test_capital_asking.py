"""What lies beyond the envelope: the allocator asks by itself, once, and two people grant it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.models import AllocationRun
from governance.selectors.capital import grants_now
from governance.services import capital, capital_asking
from governance.services.capital_requests import allocation_request
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict, Forbidden
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve, change_request_reject
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from tests.integration.governance.test_capital import POLICY
from trading.models import EquityAnchor

# Each has 9,000 and is to have 12,000; alone the machine raises nothing.
NARROW: dict[str, Any] = {**POLICY, "max_quota_usd": 12_000, "envelope": {}}


@pytest.fixture
def proposed(desk: Desk) -> AllocationRun:
    in_force("capital_policy", **NARROW)
    return run()


def run() -> AllocationRun:
    made = capital.capital_run(trigger="test")
    assert made is not None
    return made


def pending(kind: str = "capital.endorse") -> list[ChangeRequest]:
    return list(ChangeRequest.objects.filter(kind=kind, state="pending").order_by("created_at"))


def test_a_raise_beyond_the_envelope_is_asked_for_by_the_machine_itself(proposed: AllocationRun) -> None:
    assert proposed.outcome == "proposed"
    (asked,) = pending()
    assert asked.requester.username == "allocator"
    assert asked.diff == {"swing": ["9000", "12000"], "trend": ["9000", "12000"]}
    assert asked.expires_at - asked.created_at == timedelta(hours=4)
    assert set(asked.effect["reasons"]) == {"swing", "trend"}
    assert grants_now(["trend", "swing"]) == {"trend": 9000, "swing": 9000}


def test_two_people_grant_it_and_neither_of_them_alone(
    proposed: AllocationRun, risk_officer: User, second_risk_officer: User
) -> None:
    change_request_approve(request_id=pending()[0].pk, approver=risk_officer)
    assert grants_now(["trend", "swing"]) == {"trend": 9000, "swing": 9000}, "one person has raised nothing"
    (asked,) = pending("capital.allocate")
    assert asked.requester == risk_officer
    with pytest.raises(Forbidden, match="somebody else"):
        change_request_approve(request_id=asked.pk, approver=risk_officer)
    change_request_approve(request_id=asked.pk, approver=second_risk_officer)
    assert grants_now(["trend", "swing"]) == {"trend": 12_000, "swing": 12_000}
    assert run().outcome == "held"
    assert (pending(), pending("capital.allocate")) == ([], [])


def test_the_machine_can_neither_log_in_nor_decide(proposed: AllocationRun, risk_officer: User) -> None:
    machine = User.objects.get(username="allocator")
    assert not machine.is_active
    assert not machine.has_usable_password()
    change_request_approve(request_id=pending()[0].pk, approver=risk_officer)
    with pytest.raises(Forbidden):
        change_request_approve(request_id=pending("capital.allocate")[0].pk, approver=machine)


def test_it_is_asked_for_once_and_anew_when_something_else_is_proposed(proposed: AllocationRun) -> None:
    (first,) = pending()
    run()
    assert pending() == [first]
    EquityAnchor.objects.update(equity=Decimal(99_000), marked_at=now())  # about the same
    run()
    assert pending() == [first]
    in_force("capital_policy", **{**NARROW, "max_quota_usd": 20_000})
    run()
    (second,) = pending()
    assert second.diff["trend"] == ["9000", "20000"]
    first.refresh_from_db()
    assert (first.state, first.approver) == ("rejected", None), "withdrawn by the machine"


def test_what_is_no_longer_proposed_is_withdrawn(proposed: AllocationRun) -> None:
    in_force("capital_policy", **{**NARROW, "max_quota_usd": 9_000})
    run()
    assert pending() == []


def test_what_people_turned_down_is_not_asked_for_again_the_same_day(
    proposed: AllocationRun, risk_officer: User
) -> None:
    (first,) = pending()
    change_request_reject(request_id=first.pk, approver=risk_officer, note="not now")
    run()
    assert pending() == []
    ChangeRequest.objects.filter(pk=first.pk).update(decided_at=now() - timedelta(hours=25))
    run()
    assert len(pending()) == 1


def test_while_a_persons_own_request_waits_the_machine_asks_for_nothing(
    proposed: AllocationRun, trader: User, risk_officer: User
) -> None:
    (first,) = pending()
    change_request_reject(request_id=first.pk, approver=first.requester)
    allocation_request(run_id=proposed.pk, requester=trader, reason="please")
    run()
    assert pending() == []


def test_a_request_is_void_when_the_amounts_have_moved(
    proposed: AllocationRun, risk_officer: User, desk: Desk
) -> None:
    from trading.services.strategies import Amount, allocations_apply

    allocations_apply(
        amounts={"trend": Amount(Decimal(9000), Decimal(3000))}, until=None, actor="risk", reasons={}
    )
    with pytest.raises(Conflict):
        change_request_approve(request_id=pending()[0].pk, approver=risk_officer)


def test_a_run_goes_on_where_it_cannot_ask(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**kwargs: Any) -> None:
        raise Conflict("NO", "the requests are closed")

    monkeypatch.setattr(capital_asking, "change_request_create", refused)
    in_force("capital_policy", **NARROW)
    assert run().outcome == "proposed"
