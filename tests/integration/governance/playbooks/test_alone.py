"""One broken row, playbook or step holds up nothing else, and never passes for an effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, OperationalError, connections

from governance import tasks
from governance.domain.playbooks import Verb
from governance.models import Incident, Playbook, PlaybookAction, PlaybookRun
from governance.services.playbooks import acting, actions_verify, evidence
from governance.services.playbooks.measures import MEASURES
from nautilus_site.common.clock import now
from nautilus_site.common.steps import StepsFailed, step_alone
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import daily_loss, drawdown, stale_data
from trading.domain.values import Level
from trading.models import TradingState


@pytest.fixture
def broken_row(desk: Desk, arm: Arm, watch: Watch) -> PlaybookAction:
    """A step of a run that was stored half: nobody knows what it set."""
    arm("stale_data", confirm=1)
    stale_data(desk, True)
    incident = watch()
    assert incident is not None
    run = PlaybookRun.objects.get()
    return PlaybookAction.objects.create(
        run=run, number=9, verb="tighten", scope="symbol:BTCUSDT", parameters={}, after=None, at=now()
    )


def test_a_broken_step_stops_no_playbook(desk: Desk, broken_row: PlaybookAction) -> None:
    Playbook.objects.filter(name="drawdown").update(is_armed=True, confirm=1)
    drawdown(desk, True)
    tasks.guardian_tick()
    assert PlaybookRun.objects.filter(playbook__name="drawdown").count() == 1
    assert PlaybookAction.objects.get(run__playbook__name="stale_data", verb="blackout").state == "verified"


def test_what_cannot_be_verified_is_not_verified_and_says_so(broken_row: PlaybookAction) -> None:
    actions_verify()
    broken_row.refresh_from_db()
    assert broken_row.state == "done"
    PlaybookAction.objects.filter(pk=broken_row.pk).update(at=now() - timedelta(seconds=61))
    actions_verify()
    broken_row.refresh_from_db()
    assert broken_row.state == "failed"
    assert broken_row.error.startswith("it could not be verified: KeyError")
    assert TradingState.objects.get(scope="symbol:BTCUSDT").level == Level.REDUCING
    assert broken_row.run.incident.entries.filter(what__contains="could not be verified").count() == 1


def test_where_no_level_can_be_raised_either_people_are_called(broken_row: PlaybookAction) -> None:
    PlaybookAction.objects.filter(pk=broken_row.pk).update(scope="nothing", state="failed", error="no scope")
    actions_verify()
    broken_row.refresh_from_db()
    assert broken_row.verified_at is not None, "it is answered once, not at every tick"
    told = broken_row.run.incident.entries.latest("pk").what
    assert "no level could be raised either" in told


@pytest.mark.parametrize(
    ("verb", "parameters", "level"),
    [
        ("trim", {"factor": 0.7}, Level.REDUCING),
        ("blackout", {"minutes": 5}, Level.REDUCING),
        ("kill", {"level": "REDUCING"}, Level.REDUCING),
        ("kill", {"level": "CANCEL"}, Level.CANCEL),
    ],
)
def test_a_step_without_effect_is_answered_with_what_lets_risk_out(
    broken_row: PlaybookAction, verb: str, parameters: dict[str, Any], level: Level
) -> None:
    """HALT_NEW would deny the sale that a trim still waits for, and every stop a bracket has to place."""
    PlaybookAction.objects.filter(pk=broken_row.pk).update(
        verb=verb, parameters={"do": verb, **parameters}, state="failed", error="not seen"
    )
    actions_verify()
    assert TradingState.objects.get(scope="symbol:BTCUSDT").level == level


def test_one_playbook_whose_statement_is_refused_leaves_the_others_at_work(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.playbooks import evaluating

    plain = evaluating._watch_locked

    def refused(playbook: Playbook, scope: str) -> Any:
        if playbook.name == "daily_loss":
            raise DataError("value too long")
        return plain(playbook, scope)

    monkeypatch.setattr(evaluating, "_watch_locked", refused)
    arm("stale_data", confirm=1)
    Playbook.objects.filter(name="daily_loss").update(is_armed=True)
    stale_data(desk, True)
    assert watch() is not None


def test_one_step_of_the_tick_that_fails_leaves_the_others(
    desk: Desk, arm: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> int:
        raise KeyError("limit")

    arm("stale_data", confirm=1)
    stale_data(desk, True)
    for name in ("playbooks_ensure", "undos_settle", "incidents_consume", "rehearsals_step"):
        monkeypatch.setattr(tasks, name, broken)
    with pytest.raises(StepsFailed, match="broken, broken, broken, broken"):  # by the name each goes by
        tasks.guardian_tick()
    assert Incident.objects.filter(kind="stale_data").exists()


def test_a_database_that_is_gone_ends_the_tick(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with step_alone("one"):
        raise OperationalError("canceling statement due to statement timeout")
    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: False)
    with pytest.raises(OperationalError), step_alone("one"):
        raise OperationalError("server closed the connection unexpectedly")


def test_a_step_of_an_older_version_that_breaks_takes_no_kill_with_it(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with a step, and whichever of them it is."""
    plain, broken = acting._STEPS[Verb.kill], []

    def first_breaks(*given: Any) -> Any:
        if not broken:
            broken.append(given)
            raise KeyError("level")
        return plain(*given)

    monkeypatch.setitem(acting._STEPS, Verb.kill, first_breaks)
    steps = [
        {"do": "kill", "level": "HALT_NEW", "on": "global"},
        {"do": "kill", "level": "CANCEL", "on": "global"},
        {"do": "tighten", "limit": "gone", "factor": 0.5, "on": "global"},
    ]
    arm("daily_loss", actions=steps)
    daily_loss(desk, True)
    incident = watch()
    assert incident is not None
    done = PlaybookAction.objects.order_by("number")
    assert [(row.state, row.error) for row in done] == [
        ("failed", "KeyError: 'level'"),
        ("done", ""),
        ("failed", "KeyError: 'gone'"),
    ]
    assert TradingState.objects.get(scope="global").level == Level.CANCEL
    assert incident.entries.filter(what__contains="KeyError").count() == 2


def test_what_cannot_be_shown_of_a_run_takes_no_kill_with_it(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise DataError("numeric field overflow")

    monkeypatch.setattr(evidence, "marks_read", broken)
    arm("daily_loss")
    daily_loss(desk, True)
    incident = watch()
    assert incident is not None
    assert "DataError" in incident.evidence["missing"]
    assert incident.evidence["detail"]
    assert TradingState.objects.get(scope="global").level == Level.REDUCING


def test_the_measures_are_taken_where_hard_stops_are_judged() -> None:
    """What a long job holds up must not make the hard stops blind together."""
    from governance.receivers import SCHEDULES as GUARDIANS
    from trading.services.schedules import SCHEDULES

    queues = {name: queue for name, _, queue, _, _ in (*SCHEDULES, *GUARDIANS)}
    assert queues["equity tick"] == queues["guardian tick"] == "control"
    assert "daily_loss" in MEASURES


def test_a_job_an_earlier_version_put_elsewhere_moves_and_keeps_its_period(db: None) -> None:
    from django_celery_beat.models import PeriodicTask

    from trading.services.schedules import schedules_install

    schedules_install()
    row = PeriodicTask.objects.get(name="equity tick")
    PeriodicTask.objects.filter(pk=row.pk).update(queue="governance", enabled=False)
    schedules_install()
    row.refresh_from_db()
    assert (row.queue, row.enabled) == ("control", False)
