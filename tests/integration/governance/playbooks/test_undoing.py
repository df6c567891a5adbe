"""Taking back what a playbook did: what becomes of a step once its request is decided, and of rehearsals."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.selectors.playbooks import incident_detail
from governance.services.playbooks import (
    actions_verify,
    faults,
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
from tests.integration.governance.playbooks.test_behaviour import pause
from tests.integration.governance.playbooks.test_triggers import (
    daily_loss,
    drawdown,
    funding_spike,
    hold,
    stale_data,
    unprotected_position,
)
from trading.domain.values import Level
from trading.models import Account, Blackout, StrategyInstance
from trading.services.controls import effective_level, kill_raise, resume_request
from trading.services.controls.limits import limit_tighten
from universe.models import Instrument, Quote


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


def test_what_a_person_has_put_in_its_place_since_is_not_taken_back_with_it(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("unprotected_position")
    unprotected_position(desk, True)
    incident = watch()
    assert incident is not None
    kill_raise(scope="symbol:BTCUSDT", level=Level.CANCEL, reason="I saw more", actor=risk_officer)
    with pytest.raises(Conflict, match=f"{risk_officer.username} has raised symbol:BTCUSDT to CANCEL since"):
        incident_undo(incident_id=incident.pk, requester=second_risk_officer, reason="the stop is back")
    told = incident_detail(incident.pk)
    (step,) = told["actions"]
    assert (step["standing"], step["undoable"], told["undo_offered"]) == ("replaced", False, False)
    assert "is resumed on its own" in step["standing_said"]
    asked = resume_request(
        scope="symbol:BTCUSDT", to_level=Level.REDUCING, reason="seen", requester=risk_officer
    )
    Account.objects.update(reconciled_at=now())
    change_request_approve(request_id=asked.pk, approver=second_risk_officer)
    (undo,) = incident_undo(incident_id=incident.pk, requester=second_risk_officer, reason="back")
    assert undo.diff == {"level": ["REDUCING", "ACTIVE"]}, "once it is the playbook's level again"


def test_a_limit_that_a_person_has_tightened_since_stays(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    limit_tighten(
        name="max_notional", scope="account:desk", value=Decimal(10), reason="mine", actor=risk_officer
    )
    made = incident_undo(incident_id=incident.pk, requester=second_risk_officer, reason="prices are back")
    assert [request.kind for request in made] == ["blackout.end"]
    tighten = PlaybookAction.objects.get(verb="tighten")
    assert (tighten.state, tighten.undo_request) == ("done", "")
    newest = incident.entries.order_by("-pk")[0]
    assert "max_notional of account:desk is 10" in newest.detail["left"][0]


def test_what_was_taken_back_in_another_way_needs_no_request(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    Blackout.objects.update(ends_at=now())
    (request,) = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="prices are back")
    assert request.kind == "limit.loosen"
    assert PlaybookAction.objects.get(verb="blackout").state == "undone"


def test_a_weight_that_a_person_has_lowered_since_stays(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    arm("funding_spike")
    Instrument.objects.update(market="usdm")
    funding_spike(desk, True)
    incident = watch(2)
    assert incident is not None
    trim = PlaybookAction.objects.get(verb="trim")
    first, *others = sorted(int(pk) for pk in trim.after["weights"])
    StrategyInstance.objects.filter(pk=first).update(weight=0)
    made = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="funding is back")
    asked = {request.target for request in made if request.kind == "strategy.grant"}
    assert asked == {f"instance:{pk}" for pk in others}


def test_a_fault_that_is_seen_on_more_scopes_is_taken_back_on_all_of_them(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    playbook = arm("stale_data", confirm=1)
    row = Rehearsal.objects.create(
        playbook=playbook,
        requested_by=risk_officer,
        scope="symbol:ETHUSDT",
        fault={"others": ["symbol:BNBUSDT", "symbol:BTCUSDT"]},
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


@pytest.fixture
def acted_twice(desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any) -> Incident:
    """A level of a playbook that people resumed by themselves, latched again by its next run; both steps verified."""
    arm("unprotected_position")
    unprotected_position(desk, True)
    incident = watch()
    assert incident is not None
    actions_verify()
    resumed = resume_request(
        scope="symbol:BTCUSDT", to_level=Level.ACTIVE, reason="looked", requester=risk_officer
    )
    change_request_approve(request_id=resumed.pk, approver=second_risk_officer)
    pause(400)
    watch()
    actions_verify()
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"verified"}
    return incident


def test_steps_that_left_the_same_are_taken_back_by_one_request(
    acted_twice: Incident, risk_officer: Any, second_risk_officer: Any
) -> None:
    (request,) = incident_undo(incident_id=acted_twice.pk, requester=risk_officer, reason="the stop is back")
    told = incident_detail(acted_twice.pk)
    assert not told["undo_offered"]
    assert {step["undo_request"] for step in told["actions"]} == {str(request.pk)}
    change_request_approve(request_id=request.pk, approver=second_risk_officer)
    assert undos_settle() == 2
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"undone"}
    said = acted_twice.entries.filter(what__contains="taken back").values_list("what", flat=True)
    assert list(said) == [f"kill symbol:BTCUSDT was taken back; {second_risk_officer.username} approved"]
    assert not acted_twice.entries.filter(what__contains="stays in force").exists()


def test_what_is_over_when_its_request_falls_is_not_said_to_stay_in_force(
    acted_twice: Incident, risk_officer: Any, second_risk_officer: Any
) -> None:
    (request,) = incident_undo(incident_id=acted_twice.pk, requester=risk_officer, reason="the stop is back")
    other = resume_request(scope="symbol:BTCUSDT", to_level=Level.ACTIVE, reason="so", requester=risk_officer)
    change_request_approve(request_id=other.pk, approver=second_risk_officer)
    with pytest.raises(Conflict, match="the target changed"):
        change_request_approve(request_id=request.pk, approver=second_risk_officer)
    assert undos_settle() == 2
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"undone"}
    newest = acted_twice.entries.order_by("-pk").values_list("what", flat=True)[0]
    assert newest == (
        "what was to take back kill symbol:BTCUSDT is void; it is over: symbol:BTCUSDT is at ACTIVE"
    )


def test_each_window_is_taken_back_by_a_request_of_its_own(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    arm("stale_data", confirm=1)
    stale_data(desk, True)
    incident = watch()
    assert incident is not None
    arm("stale_data", confirm=1, actions=[{"do": "blackout", "minutes": 30}])
    pause(400)
    watch()
    made = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="prices are back")
    assert {request.target for request in made} == {
        f"blackout:{pk}" for pk in Blackout.objects.values_list("pk", flat=True)
    }
    assert len(made) == 2


def test_a_second_rehearsed_hard_stop_is_reviewed_and_asks_for_what_the_first_latched(
    desk: Desk,
    watch: Watch,
    risk_officer: Any,
    second_risk_officer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The undo of the first waited for too long: the second found its level and made that request void."""
    Playbook.objects.exclude(name__in=("daily_loss", "leverage")).update(is_armed=False)
    Playbook.objects.filter(name="daily_loss").update(threshold=100)
    Playbook.objects.filter(name="leverage").update(threshold=3, confirm=1)
    for name, put_in in (
        ("daily_loss", lambda over: daily_loss(desk, over)),
        ("leverage", lambda over: hold(desk, "BTCUSDT", "5.01" if over else "0.01", "60000")),
    ):
        monkeypatch.setitem(faults.FAULTS, name, lambda playbook, fault: setattr(fault, "scope", "global"))
        rehearsal_start(name=name, actor=risk_officer, reason="the quarter's")
        put_in(True)
        watch()
        actions_verify()
        assert rehearsals_step() == 1
        put_in(False)
        watch()
    assert list(Rehearsal.objects.order_by("pk").values_list("score", flat=True)) == [100, 100]
    assert not Incident.objects.filter(reviewed_at=None).exists()
    first, second = ChangeRequest.objects.order_by("created_at")
    with pytest.raises(Conflict, match="the target changed"):
        change_request_approve(request_id=first.pk, approver=second_risk_officer)
    change_request_approve(request_id=second.pk, approver=second_risk_officer)
    assert effective_level(["global"])[0] is Level.ACTIVE
    undos_settle()
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"undone", "standing"}


def test_a_level_another_incident_holds_is_not_taken_back_while_that_is_open(
    desk: Desk, watch: Watch, risk_officer: Any
) -> None:
    Playbook.objects.exclude(name__in=("daily_loss", "leverage")).update(is_armed=False)
    Playbook.objects.filter(name="daily_loss").update(threshold=100)
    Playbook.objects.filter(name="leverage").update(threshold=3, confirm=1)
    daily_loss(desk, True)
    watch()
    hold(desk, "BTCUSDT", "5.01", "60000")
    watch()
    hold(desk, "BTCUSDT", "0.01", "60000")
    watch()
    first, second = Incident.objects.order_by("pk")
    assert (first.state, second.state) == ("open", "calm")
    Incident.objects.update(reviewed_at=now(), reviewed_by="risk", review="as it was")
    with pytest.raises(Conflict, match=f"incident {first.pk}.*holds global and is not over"):
        incident_undo(incident_id=second.pk, requester=risk_officer, reason="sold")
