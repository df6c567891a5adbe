"""Rules and playbooks know each other: a rule takes a playbook's steps, and whatever a rule does opens an incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, PlaybookRun, PlaybookWatch, RuleFiring
from governance.services.playbooks import (
    actions_verify,
    incident_close,
    incident_undo,
    playbooks_evaluate,
    playbooks_install,
)
from governance.services.rules import rules_run
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.event_numbering import events_number
from nautilus_site.common.services.leases import lease_acquire
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from trading.models import Blackout
from trading.services.orders import OrderDenied


@pytest.fixture
def judge(desk: Desk) -> Callable[[], list[RuleFiring]]:
    """Deny an order of a strategy, and judge the rules over it."""
    playbooks_install(actor="test")
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    rules_run()  # the cursor begins here

    def run() -> list[RuleFiring]:
        with pytest.raises(OrderDenied):
            desk.submit("BUY", quantity="1", strategy=desk.strategies["trend"])
        events_number(held)
        return rules_run()

    return run


def rule(action: str, **more: Any) -> None:
    members = {"name": "guard", "trigger": "order.denied", "action": action, "cooldown_seconds": 0, **more}
    in_force("policies", rules=[members])


def test_a_rule_takes_the_steps_of_a_playbook_with_its_incident_checks_and_undo(
    judge: Callable[[], list[RuleFiring]], desk: Desk, trader: Any
) -> None:
    rule("playbook:reject_spike")
    (fired,) = judge()
    incident = Incident.objects.get()
    assert (fired.outcome, fired.detail) == (
        "done",
        f"reject_spike on account:desk, incident {incident.pk}",
    )
    assert (incident.kind, incident.scope) == ("reject_spike", "account:desk")
    assert incident.title.startswith("rule guard: ")
    assert Blackout.objects.get().scope == "account:desk"
    actions_verify()
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"verified"}
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY")
    assert denied.value.code == "BLACKOUT"
    asked = incident_undo(incident_id=incident.pk, requester=trader, reason="a false alarm")
    assert {request.kind for request in asked} == {"blackout.end", "limit.loosen"}


def test_the_playbooks_own_cool_down_holds_for_rules_too_and_its_calm_ends_the_incident(
    judge: Callable[[], list[RuleFiring]], trader: Any
) -> None:
    rule("playbook:reject_spike")
    assert [fired.outcome for fired in judge()] == ["done"]
    assert [fired.outcome for fired in judge()] == ["standing"]
    assert PlaybookRun.objects.count() == 1
    PlaybookWatch.objects.update(read_at=now() - timedelta(minutes=1))
    playbooks_evaluate()
    incident = Incident.objects.get()
    assert incident.state == "calm"
    assert incident_close(incident_id=incident.pk, actor=trader, reason="seen").state == "closed"


def test_a_playbook_that_people_disarmed_is_not_run_by_a_rule(
    judge: Callable[[], list[RuleFiring]],
) -> None:
    Playbook.objects.filter(name="reject_spike").update(is_armed=False)
    rule("playbook:reject_spike")
    (fired,) = judge()
    assert fired.outcome == "failed"
    assert "not armed" in fired.detail
    assert [incident.kind for incident in Incident.objects.all()] == ["rule_failed"], "people are told"


def test_a_rule_that_cannot_know_the_playbooks_scope_is_refused_when_it_is_read(desk: Desk) -> None:
    with pytest.raises(ApplicationError, match="needs to know the strategy"):
        rule("playbook:entropy_spike", trigger="tick")
    with pytest.raises(ApplicationError, match="no action is called"):
        rule("playbook:venue_lag")


def test_what_a_rule_changes_opens_one_incident_that_people_close(
    judge: Callable[[], list[RuleFiring]], trader: Any
) -> None:
    rule("reduce_max_order_size", params={"factor": "0.5"})
    judge()
    judge()
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope) == ("rule", "guard")
    assert "max_notional from 5000 to 2500" in incident.title
    assert incident.entries.count() == 2
    assert incident_close(incident_id=incident.pk, actor=trader, reason="seen").state == "closed"
