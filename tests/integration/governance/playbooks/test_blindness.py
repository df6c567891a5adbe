"""A playbook that cannot measure: it is told once, stops new risk, looks unwell, and gets over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, PlaybookRun, PlaybookWatch
from governance.selectors.playbooks import playbooks_state
from governance.services.playbooks import actions_verify, incident_undo, playbooks_evaluate
from governance.services.playbooks.guard_gaps import guard_gaps
from governance.services.playbooks.measures import MEASURES
from nautilus_site.common.clock import now
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import daily_loss, equity, stale_data, venue_lag
from trading.domain.values import Level
from trading.models import Blackout, EquitySnapshot, LossMeasure
from trading.services.controls import effective_level
from trading.services.orders import OrderDenied

Blind = Callable[[bool], None]


@pytest.fixture
def blind(desk: Desk, arm: Arm) -> Blind:
    """Drawdown armed alone; `blind(True)` lets its equity be hours old, `blind(False)` of now."""
    arm("drawdown")

    def blind(is_blind: bool) -> None:
        equity(desk)
        if is_blind:
            EquitySnapshot.objects.update(at=now() - timedelta(hours=9))

    return blind


def lamp(name: str) -> dict[str, str]:
    (row,) = [row for row in playbooks_state()["playbooks"] if row["name"] == name]
    found: dict[str, str] = row["lamp"]
    return found


def denied(desk: Desk) -> str | None:
    desk.quote("BTCUSDT", "59990", "60010")
    desk.measure()
    try:
        desk.submit("BUY", "0.001", price="59000")
    except OrderDenied as refusal:
        return refusal.code
    return None


def test_after_some_readings_in_a_row_nothing_new_is_risked_in_the_scope(
    desk: Desk, blind: Blind, watch: Watch
) -> None:
    blind(True)
    assert watch(5) is None
    assert not Blackout.objects.exists(), "five times may be a start"
    incident = watch()
    assert incident is not None
    assert (incident.kind, incident.scope) == ("unmeasured", "drawdown:account:desk")
    assert "last written down 324" in incident.title
    assert Blackout.objects.get().scope == "account:desk"
    actions_verify()
    assert PlaybookAction.objects.get().state == "verified"
    assert denied(desk) == "BLACKOUT"


def test_each_outage_is_told_once_and_its_end_too(blind: Blind, watch: Watch) -> None:
    blind(True)
    incident = watch(20)
    assert incident is not None
    told = list(incident.entries.values_list("what", flat=True))
    assert [line.partition(":")[0] for line in told] == ["opened", "blackout account"]
    blind(False)
    watch()
    incident.refresh_from_db()
    assert incident.state == "calm"
    assert PlaybookWatch.objects.get().unmeasured == 0
    blind(True)
    watch(6)
    incident.refresh_from_db()
    assert (incident.state, Incident.objects.count()) == ("open", 1)
    told = list(incident.entries.values_list("what", flat=True))[2:]
    assert [line.partition(":")[0] for line in told] == [
        "the cause is over",
        "it came back",
        "blackout account",
    ]


def test_what_fails_now_and_then_never_gets_that_far(blind: Blind, watch: Watch) -> None:
    for _ in range(3):
        blind(True)
        assert watch(5) is None
        blind(False)
        assert watch() is None


def test_a_night_without_the_platform_is_no_row_of_readings(blind: Blind, watch: Watch) -> None:
    blind(True)
    watch(5)
    PlaybookWatch.objects.update(read_at=now() - timedelta(hours=8))
    playbooks_evaluate()
    assert (PlaybookWatch.objects.get().unmeasured, Incident.objects.count()) == (1, 0)


def test_the_window_goes_on_while_nothing_is_known_and_ends_by_itself_after(
    blind: Blind, watch: Watch
) -> None:
    blind(True)
    watch(6)
    Blackout.objects.update(ends_at=now() + timedelta(seconds=10))
    watch()
    window = Blackout.objects.get()
    assert window.ends_at > now() + timedelta(minutes=4)
    blind(False)
    Blackout.objects.update(ends_at=now() + timedelta(seconds=10))
    watch()
    assert Blackout.objects.get().ends_at < now() + timedelta(seconds=11)


def test_two_people_take_it_back_and_it_stays_back(
    blind: Blind, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    blind(True)
    incident = watch(6)
    assert incident is not None
    (asked,) = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="we look ourselves")
    assert asked.kind == "blackout.end"
    change_request_approve(request_id=asked.pk, approver=second_risk_officer)
    watch(3)
    assert not Blackout.objects.filter(ended_at=None).exists()


def test_not_knowing_is_a_block_on_every_scope_and_uses_up_no_blast_radius(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(scope: str, since: Any, moment: Any) -> Any:
        raise ZeroDivisionError

    arm("stale_data", max_scopes=1, confirm=1)
    plain = MEASURES["stale_data"]
    monkeypatch.setitem(MEASURES, "stale_data", broken)
    watch(6)
    assert Blackout.objects.count() == 3
    monkeypatch.setitem(MEASURES, "stale_data", plain)
    stale_data(desk, True)
    watch()
    assert PlaybookRun.objects.get(incident__kind="stale_data").held_back is False


def test_a_hard_limit_stops_only_after_as_many_readings(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("daily_loss")
    LossMeasure.objects.update(measured_at=now() - timedelta(hours=9))
    assert watch(5) is None
    assert lamp("daily_loss") == {"tone": "bad", "text": "cannot measure global"}
    incident = watch()
    assert incident is not None
    assert (incident.kind, incident.needs_review) == ("daily_loss", True)
    assert "it could not be measured: the day's result was last written down" in incident.title
    assert effective_level(["global"])[0] is Level.REDUCING
    LossMeasure.objects.update(measured_at=now())
    watch()
    incident.refresh_from_db()
    assert incident.state == "calm"
    assert effective_level(["global"])[0] is Level.REDUCING, "a hard stop is people's to lift"


def test_a_lamp_is_good_only_while_it_sees(desk: Desk, blind: Blind, watch: Watch) -> None:
    assert lamp("drawdown") == {"tone": "warn", "text": "not read yet: account:desk"}
    blind(False)
    watch()
    assert lamp("drawdown") == {"tone": "good", "text": "armed"}
    blind(True)
    watch()
    assert lamp("drawdown") == {"tone": "bad", "text": "cannot measure account:desk"}
    blind(False)
    watch()
    PlaybookWatch.objects.update(read_at=now() - timedelta(hours=5))
    Playbook.objects.update(changed_at=now() - timedelta(hours=6))
    assert lamp("drawdown") == {"tone": "bad", "text": "not read for 5:00:00: account:desk"}
    Playbook.objects.update(changed_at=now())
    assert lamp("drawdown")["tone"] == "good", "armed a moment ago, it had no time to look"


def test_a_scope_that_is_looked_at_no_more_lights_no_lamp(desk: Desk, arm: Arm, watch: Watch) -> None:
    row = arm("stale_data")
    watch()
    PlaybookWatch.objects.create(
        playbook=row, scope="symbol:GONEUSDT", read_at=now(), sightings=3, unmeasured=3
    )
    assert lamp("stale_data") == {"tone": "good", "text": "armed"}


def test_a_hard_stop_that_can_never_act_is_no_good_news(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("daily_loss", min_samples=2)
    daily_loss(desk, True)
    assert watch(2) is None
    why = "never acts: it waits for 2 samples, a figure has 1 at most"
    assert lamp("daily_loss") == {"tone": "bad", "text": why}
    assert f"the hard stop daily_loss {why}" in guard_gaps((now() - timedelta(days=1), now()))


def test_a_threshold_reached_by_too_few_samples_is_shown(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("venue_lag", min_samples=6)
    venue_lag(desk, True)
    assert watch() is None
    assert lamp("venue_lag") == {"tone": "warn", "text": "reached by 5 of 6 samples: venue:binance-spot"}
