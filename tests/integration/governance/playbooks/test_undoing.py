"""Taking back what a playbook did: what becomes of a step once its request is decided, and of rehearsals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.services.playbooks import (
    actions_verify,
    incident_undo,
    rehearsal_start,
    rehearsals_step,
    undos_settle,
)
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict, Forbidden
from nautilus_site.common.models import ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve, change_request_reject
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import drawdown, stale_data
from universe.models import Quote


def test_a_step_whose_undo_was_approved_is_undone_and_its_incident_says_so(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    made = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="prices are back")
    assert undos_settle() == 0, "nobody has decided yet"
    for request in made:
        change_request_approve(request_id=request.pk, approver=second_risk_officer)
    assert undos_settle() == 2
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"undone"}
    told = list(incident.entries.order_by("-pk").values_list("what", flat=True)[:2])
    assert all(line.endswith(f"was taken back; {second_risk_officer.username} approved") for line in told)
    with pytest.raises(Conflict, match="nothing that was done"):
        incident_undo(incident_id=incident.pk, requester=risk_officer, reason="again")


@pytest.mark.parametrize("how", ["rejected", "expired"])
def test_a_step_whose_undo_was_turned_down_can_be_asked_for_again(
    how: str, desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("stale_data", confirm=1)
    stale_data(desk, True)
    incident = watch()
    assert incident is not None
    (request,) = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="prices are back")
    with pytest.raises(Conflict, match="nothing that was done"):
        incident_undo(incident_id=incident.pk, requester=risk_officer, reason="it waits already")
    if how == "rejected":
        change_request_reject(request_id=request.pk, approver=second_risk_officer, note="not yet")
    else:
        ChangeRequest.objects.update(expires_at=now() - timedelta(seconds=1))
    assert undos_settle() == 1
    newest = incident.entries.order_by("-pk").values_list("what", flat=True)[0]
    assert newest.endswith(f"stays in force: what was to take it back is {how}")
    (again,) = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="prices are back now")
    assert again.pk != request.pk


def test_a_fault_that_is_seen_on_more_scopes_is_taken_back_on_all_of_them(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    playbook = arm("stale_data", confirm=1)
    row = Rehearsal.objects.create(
        playbook=playbook,
        requested_by=risk_officer,
        scope="symbol:ETHUSDT",
        injected_at=now(),
        deadline_at=now() + timedelta(minutes=9),
    )
    Quote.objects.update(received_at=now() - timedelta(seconds=500))
    watch()
    assert Incident.objects.filter(is_rehearsal=True).count() == 3
    actions_verify()
    assert rehearsals_step() == 1
    row.refresh_from_db()
    assert row.incident is not None
    assert row.incident.scope == "symbol:ETHUSDT", "the one it was meant for"
    assert row.score == 100, row.findings
    assert ChangeRequest.objects.filter(kind="blackout.end", state="pending").count() == 3


def test_who_may_not_ask_for_the_undo_cannot_rehearse(desk: Desk, trader: Any, arm: Arm) -> None:
    """It ends with a review and an undo in the name of who asked, which would be a way round the permission."""
    assert Playbook.objects.get(name="daily_loss").is_armed
    with pytest.raises(Forbidden, match=r"incidents\.review, kill\.resume: a risk officer rehearses it"):
        rehearsal_start(name="daily_loss", actor=trader, reason="drill")
    arm("venue_lag", actions=[{"do": "kill", "level": "HALT_NEW", "on": "scope"}])
    with pytest.raises(Forbidden, match=r"takes kill\.resume"):
        rehearsal_start(name="venue_lag", actor=trader, reason="drill")
    assert Rehearsal.objects.count() == 0
