"""A hard stop holds until a person has reviewed it: latched whatever else holds, again after every breach."""

from __future__ import annotations

from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.services.playbooks import incident_review, incident_undo, undos_settle
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest, OutboxEvent
from nautilus_site.common.services.change_requests import change_request_approve, fingerprint
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_behaviour import CAUSE, pause
from tests.integration.governance.playbooks.test_triggers import daily_loss, hold
from trading.domain.values import Level
from trading.models import Account, TradingState
from trading.services.controls import effective_level, kill_raise, resume_request
from trading.services.controls.resume import state_snapshot
from trading.services.controls.states import auto_level_set


def told() -> list[tuple[str, str, str]]:
    rows = OutboxEvent.objects.filter(topic="incidents").order_by("pk")
    return [(row.data["kind"], row.data["state"], row.data["severity"]) for row in rows]


def approve(request: ChangeRequest, approver: Any) -> None:
    Account.objects.update(reconciled_at=now())
    change_request_approve(request_id=request.pk, approver=approver, note="agreed")


@pytest.fixture
def stopped(desk: Desk, arm: Arm, watch: Watch) -> Incident:
    """The day's loss is over the hard limit."""
    arm("daily_loss")
    daily_loss(desk, True)
    incident = watch()
    assert incident is not None
    return incident


@pytest.fixture
def taken_back(
    stopped: Incident, desk: Desk, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> Incident:
    """It is over, was reviewed and undone; the incident is calm and not closed."""
    daily_loss(desk, False)
    watch()
    incident_review(incident_id=stopped.pk, reviewer=risk_officer, text=CAUSE)
    (asked,) = incident_undo(incident_id=stopped.pk, requester=risk_officer, reason="reviewed")
    approve(asked, second_risk_officer)
    undos_settle()
    assert effective_level(["global"])[0] is Level.ACTIVE
    return stopped


def test_a_cause_that_returns_is_told_and_wants_a_review_of_its_own(
    taken_back: Incident, desk: Desk, watch: Watch, risk_officer: Any
) -> None:
    before = len(told())
    daily_loss(desk, True)
    pause(3600)
    again = watch()
    assert again == taken_back
    assert told()[before:] == [("daily_loss", "open", "critical")]
    assert effective_level(["global"])[0] is Level.REDUCING
    taken_back.refresh_from_db()
    assert (taken_back.review, taken_back.reviewed_by, taken_back.reviewed_at) == ("", "", None)
    kept = taken_back.entries.filter(what="reviewed").get()
    assert kept.detail == {"review": CAUSE}, "what was written about the first time stays on the timeline"
    daily_loss(desk, False)
    watch()
    with pytest.raises(Conflict, match="reviewed before"):
        incident_undo(incident_id=taken_back.pk, requester=risk_officer, reason="again")


def test_a_review_while_the_cause_still_stands_does_not_count_for_the_next_time(
    stopped: Incident, watch: Watch, risk_officer: Any
) -> None:
    incident_review(incident_id=stopped.pk, reviewer=risk_officer, text=CAUSE)
    pause(3600)
    watch()
    stopped.refresh_from_db()
    assert stopped.reviewed_at is None
    assert stopped.entries.filter(what__startswith="the review counts no more").exists()


def test_a_hard_stop_is_latched_though_a_breaker_holds_as_much(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("daily_loss")
    auto_level_set(scope="global", level=Level.REDUCING, reason="a breaker", actor="breakers")
    daily_loss(desk, True)
    watch()
    assert PlaybookAction.objects.get().before == {"level": "ACTIVE"}
    daily_loss(desk, False)
    watch()
    auto_level_set(scope="global", level=Level.ACTIVE, reason="over", actor="breakers")
    assert effective_level(["global"])[0] is Level.REDUCING


def test_a_step_that_finds_its_scope_latched_stands_and_is_enforced_once_more(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    kill_raise(scope="global", level=Level.CANCEL, reason="I saw something", actor=risk_officer)
    version = TradingState.objects.get(scope="global").version
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    step = PlaybookAction.objects.get()
    assert (step.state, step.before, step.after["level"]) == ("standing", {"level": "CANCEL"}, "CANCEL")
    assert TradingState.objects.get(scope="global").version > version, "what was asked before is void"


def test_nobody_resumes_below_a_hard_stop_that_was_not_reviewed(
    stopped: Incident, desk: Desk, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    kill_raise(scope="global", level=Level.CANCEL, reason="mine", actor=risk_officer)
    with pytest.raises(Conflict, match=f"incident {stopped.pk}") as refused:
        resume_request(scope="global", to_level=Level.ACTIVE, reason="go", requester=risk_officer)
    assert refused.value.code == "REVIEW_REQUIRED"
    assert refused.value.extra == {
        "incidents": [stopped.pk],
        "link": f"/playbooks/#incident-{stopped.pk}",
    }
    down = resume_request(
        scope="global", to_level=Level.REDUCING, reason="as it held", requester=risk_officer
    )
    approve(down, second_risk_officer)
    assert effective_level(["global"])[0] is Level.REDUCING


def test_a_narrower_scope_is_held_by_a_hard_stop_of_everything(stopped: Incident, risk_officer: Any) -> None:
    kill_raise(scope="symbol:BTCUSDT", level=Level.CANCEL, reason="mine", actor=risk_officer)
    with pytest.raises(Conflict, match="a risk officer has reviewed"):
        resume_request(scope="symbol:BTCUSDT", to_level=Level.ACTIVE, reason="go", requester=risk_officer)


def test_a_hard_stop_between_request_and_approval_holds(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    kill_raise(scope="global", level=Level.REDUCING, reason="mine", actor=risk_officer)
    asked = resume_request(scope="global", to_level=Level.ACTIVE, reason="go", requester=risk_officer)
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    # Were nothing of the level changed by it, the request would not be void: the incident itself holds.
    ChangeRequest.objects.filter(pk=asked.pk).update(target_hash=fingerprint(state_snapshot("global")))
    with pytest.raises(Conflict, match="a risk officer has reviewed"):
        approve(asked, second_risk_officer)
    assert effective_level(["global"])[0] is Level.REDUCING


def test_the_undo_of_one_hard_stop_waits_for_the_review_of_the_other(
    desk: Desk, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    Playbook.objects.exclude(name__in=("daily_loss", "leverage")).update(is_armed=False)
    Playbook.objects.filter(name="daily_loss").update(threshold=100)
    Playbook.objects.filter(name="leverage").update(threshold=3, confirm=1)
    daily_loss(desk, True)
    watch()
    hold(desk, "BTCUSDT", "5.01", "60000")
    watch()
    first, second = Incident.objects.order_by("pk")
    assert (first.kind, second.kind) == ("daily_loss", "leverage")
    incident_review(incident_id=first.pk, reviewer=risk_officer, text=CAUSE)
    with pytest.raises(Conflict, match=f"incident {second.pk}"):
        incident_undo(incident_id=first.pk, requester=risk_officer, reason="reviewed")
    assert PlaybookAction.objects.filter(state="undone").count() == 0, "what is refused is still in force"
    incident_review(incident_id=second.pk, reviewer=risk_officer, text=CAUSE)
    (asked,) = incident_undo(incident_id=first.pk, requester=risk_officer, reason="reviewed")
    approve(asked, second_risk_officer)
    assert effective_level(["global"])[0] is Level.ACTIVE


def rehearsal(risk_officer: Any, playbook: Playbook, scope: str, **changes: Any) -> Rehearsal:
    from datetime import timedelta

    return Rehearsal.objects.create(
        playbook=playbook, requested_by=risk_officer, scope=scope, injected_at=now(),
        deadline_at=now() + timedelta(seconds=90), **changes,
    )  # fmt: skip


def test_what_really_happens_never_joins_the_incident_of_a_rehearsal(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    row = rehearsal(risk_officer, arm("daily_loss"), "global")
    daily_loss(desk, True)
    rehearsed = watch()
    assert rehearsed is not None
    assert rehearsed.is_rehearsal
    assert rehearsed.runs.get().rehearsal == row
    Rehearsal.objects.update(state="scored", finished_at=now())
    daily_loss(desk, False)
    watch()
    before = len(told())
    pause(3600)
    daily_loss(desk, True)
    real = watch()
    assert real is not None
    assert real != rehearsed
    assert not real.is_rehearsal
    assert real.runs.get().rehearsal is None
    assert real.needs_review
    assert told()[before:] == [("daily_loss", "open", "critical")]


def test_what_happens_where_the_fault_cannot_be_seen_is_no_rehearsal(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    from datetime import timedelta

    from universe.models import Quote

    rehearsal(risk_officer, arm("stale_data", confirm=1), "symbol:ETHUSDT")
    Quote.objects.update(received_at=now() - timedelta(seconds=500))
    watch()
    assert dict(Incident.objects.values_list("scope", "is_rehearsal")) == {
        "symbol:BNBUSDT": False,
        "symbol:BTCUSDT": False,
        "symbol:ETHUSDT": True,
    }


def test_a_hard_stop_for_want_of_a_measurement_is_no_rehearsal(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.playbooks import measures

    def broken(scope: str, since: Any, moment: Any) -> Any:
        raise ZeroDivisionError

    rehearsal(risk_officer, arm("leverage", confirm=1, blind_after=1), "global")
    monkeypatch.setitem(measures.MEASURES, "leverage", broken)
    incident = watch()
    assert incident is not None
    assert not incident.is_rehearsal
