"""A cool-down keeps a playbook from doing the same again and again; it hides nothing that happens meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from governance.models import Incident, PlaybookRun
from governance.services.playbooks import incident_close, incident_review, incident_undo, undos_settle
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import AuditEntry, OutboxEvent
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_behaviour import CAUSE, pause
from tests.integration.governance.playbooks.test_hard_stops import approve, told
from tests.integration.governance.playbooks.test_triggers import daily_loss, drawdown, stale_data
from trading.domain.values import Level
from trading.models import TradingState
from trading.services.controls import effective_level


@pytest.fixture
def reviewed(desk: Desk, arm: Arm, watch: Watch, risk_officer: Any) -> Incident:
    """A day's loss over the hard limit, over again within the cool-down, and reviewed."""
    arm("daily_loss")
    daily_loss(desk, True)
    incident = watch()
    assert incident is not None
    daily_loss(desk, False)
    watch()
    incident_review(incident_id=incident.pk, reviewer=risk_officer, text=CAUSE)
    return incident


def test_a_hard_stop_that_was_resumed_acts_at_once_when_its_cause_returns(
    reviewed: Incident, desk: Desk, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    (asked,) = incident_undo(incident_id=reviewed.pk, requester=risk_officer, reason="reviewed")
    approve(asked, second_risk_officer)
    undos_settle()
    before = len(told())
    daily_loss(desk, True)
    watch(5)
    reviewed.refresh_from_db()
    assert (reviewed.state, reviewed.reviewed_by) == ("open", "")
    assert effective_level(["global"])[0] is Level.REDUCING
    assert told()[before:] == [("daily_loss", "open", "critical")]
    assert PlaybookRun.objects.count() == 2, "once it stands it cools down"


def test_a_hard_stop_still_in_force_is_told_again_and_its_review_is_void(
    reviewed: Incident, desk: Desk, watch: Watch, risk_officer: Any
) -> None:
    before = len(told())
    daily_loss(desk, True)
    watch(5)
    reviewed.refresh_from_db()
    assert (reviewed.state, reviewed.reviewed_by) == ("open", "")
    assert told()[before:] == [("daily_loss", "open", "critical")]
    assert PlaybookRun.objects.count() == 1, "what it does is in force"
    for over in (False, True):
        daily_loss(desk, over)
        watch()
    keys = [row.data["news"] for row in OutboxEvent.objects.filter(topic="incidents").order_by("pk")]
    assert keys[-1] == "", "what flaps is counted into the last message"


def test_an_incident_closed_before_its_cause_returns_is_followed_by_another(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    first = watch(2)
    assert first is not None
    drawdown(desk, False)
    watch()
    incident_close(incident_id=first.pk, actor=risk_officer, reason="prices are back")
    drawdown(desk, True)
    second = watch(4)
    assert second is not None
    assert (second.pk != first.pk, second.state, second.severity) == (True, "open", "warning")
    assert second.evidence["measured"] == pytest.approx(5.01)
    assert PlaybookRun.objects.count() == 1


def test_no_incident_is_closed_while_its_playbook_sees_the_cause(
    reviewed: Incident, desk: Desk, watch: Watch, risk_officer: Any
) -> None:
    daily_loss(desk, True)
    watch()
    # Whatever else it says, a reading above the limit is no cause that is over.
    Incident.objects.update(state="calm", reviewed_at=now(), reviewed_by="risk")
    with pytest.raises(Conflict) as refused:
        incident_close(incident_id=reviewed.pk, actor=risk_officer, reason="it looks calm")
    assert refused.value.code == "STILL_OPEN"


def test_a_standing_hard_stop_is_enforced_again_and_told_once(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    versions = []
    for _ in range(3):
        watch()
        versions.append(TradingState.objects.get(scope="global").version)
        pause(303)
    assert versions == sorted(set(versions)), "requests to lower it are void each time"
    assert OutboxEvent.objects.filter(topic="trading_state").count() == 1
    kills = AuditEntry.objects.filter(action__startswith="kill.").order_by("pk")
    assert [row.action for row in kills] == ["kill.raised", "kill.enforced", "kill.enforced"]


def test_that_people_are_called_instead_is_told_once_while_the_cause_stands(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    playbook = arm("stale_data", confirm=1, max_scopes=1)
    other = Incident.objects.create(
        kind="stale_data", scope="symbol:OTHER", severity="warning", title="another", opened_at=now()
    )
    PlaybookRun.objects.create(
        playbook=playbook, incident=other, scope="symbol:OTHER", threshold=120, at=now()
    )

    def called() -> int:
        return OutboxEvent.objects.filter(topic="incidents", data__news="held_back").count()

    stale_data(desk, True)
    for _ in range(3):
        watch()
        pause(305)
    assert (called(), PlaybookRun.objects.filter(held_back=True).count()) == (1, 3)
    stale_data(desk, False)
    watch()
    stale_data(desk, True)
    watch()
    assert called() == 2
