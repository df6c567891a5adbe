"""A blackout does not run out while what it was set for stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.models import PlaybookAction, PlaybookWatch
from governance.services.playbooks import actions_verify, incident_undo
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import stale_data
from trading.models import Blackout
from trading.services.controls.blackouts import blackout_extend, blackout_set


def left(seconds: float) -> None:
    """Let so much be left of every window."""
    Blackout.objects.update(ends_at=now() + timedelta(seconds=seconds))


@pytest.fixture
def stale(desk: Desk, arm: Arm, watch: Watch) -> Any:
    """A stale symbol, blacked out for five minutes; cool-down of the same length."""
    arm("stale_data")
    stale_data(desk, True)
    incident = watch(2)
    assert Blackout.objects.get().scope == "symbol:BTCUSDT"
    return incident


def test_it_goes_on_before_it_ends_while_the_cause_stands(stale: Any, watch: Watch) -> None:
    left(200)
    watch()
    assert Blackout.objects.get().ends_at < now() + timedelta(seconds=201), "more than half of it is left"
    left(140)
    watch()
    assert Blackout.objects.get().ends_at > now() + timedelta(seconds=290)
    entry = AuditEntry.objects.get(action="blackout.extended")
    assert (entry.target, entry.actor_name) == ("symbol:BTCUSDT", "playbook stale_data")


def test_once_the_cause_is_over_it_ends_when_it_was_to(stale: Any, desk: Desk, watch: Watch) -> None:
    stale_data(desk, False)
    left(10)
    watch()
    assert Blackout.objects.get().ends_at < now() + timedelta(seconds=11)


def test_a_cause_that_comes_back_in_the_cool_down_finds_no_gap(stale: Any, desk: Desk, watch: Watch) -> None:
    actions_verify()
    Blackout.objects.update(starts_at=now() - timedelta(minutes=6), ends_at=now() - timedelta(minutes=1))
    stale_data(desk, True)
    watch(2)
    (_, new) = Blackout.objects.order_by("pk")
    assert new.ends_at > now() + timedelta(minutes=4)
    action = PlaybookAction.objects.get()
    assert (action.after["blackout"], action.state) == (new.pk, "done"), "what takes it back takes this one"
    assert stale.entries.filter(what__contains="the cause stands").count() == 1


def test_one_that_people_ended_stays_ended_until_it_acts_again(
    stale: Any, desk: Desk, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    left(140)
    (asked,) = incident_undo(incident_id=stale.pk, requester=risk_officer, reason="we quote by hand")
    watch()  # what is asked to end is not made longer, which would void the request, until it is about to
    change_request_approve(request_id=asked.pk, approver=second_risk_officer)
    watch(3)
    assert not Blackout.objects.filter(ended_at=None).exists()
    PlaybookWatch.objects.update(ran_at=now() - timedelta(seconds=301))
    watch()
    assert Blackout.objects.filter(ended_at=None).count() == 1


def test_a_window_somebody_else_set_is_left_to_them(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    theirs = blackout_set(
        scope="symbol:BTCUSDT", ends_at=now() + timedelta(minutes=6), reason="news", actor=risk_officer
    )
    arm("stale_data")
    stale_data(desk, True)
    watch(2)
    assert PlaybookAction.objects.get().state == "standing"
    left(60)
    watch()
    assert Blackout.objects.get(pk=theirs.pk).ends_at < now() + timedelta(seconds=61)
    own = Blackout.objects.exclude(pk=theirs.pk).get()
    assert (own.created_by, PlaybookAction.objects.get().state) == ("playbook stale_data", "done")


def test_a_window_only_ever_ends_later(desk: Desk) -> None:
    window = blackout_set(scope="global", ends_at=now() + timedelta(minutes=5), reason="r", actor="test")
    for ends_at in (window.ends_at, now() + timedelta(days=32)):
        with pytest.raises(ApplicationError, match="later end"):
            blackout_extend(blackout_id=window.pk, ends_at=ends_at, reason="r", actor="test")
    Blackout.objects.update(starts_at=now() - timedelta(minutes=6), ends_at=now() - timedelta(minutes=1))
    with pytest.raises(Conflict, match="over already"):
        blackout_extend(blackout_id=window.pk, ends_at=now() + timedelta(hours=1), reason="r", actor="test")
    with pytest.raises(NotFound):
        blackout_extend(blackout_id=0, ends_at=now() + timedelta(hours=1), reason="r", actor="test")
