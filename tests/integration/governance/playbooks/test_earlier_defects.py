"""Defects of the earlier system's guardian, governor and rules (W24-W28, W31, W32): each would fail there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from governance.domain.playbooks import PLAYBOOKS
from governance.models import Incident, Playbook, PlaybookAction
from governance.services.playbooks import actions_verify, playbooks_install
from governance.services.playbooks.measures import MEASURES
from nautilus_site.common.clock import now
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import daily_loss, drawdown
from trading.domain.orders import OrderStatus
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Level
from trading.models import LossMeasure, TradingState
from trading.services.controls import effective_level
from trading.services.orders import OrderDenied
from trading.services.schedules import schedules_install

ROOT = Path(__file__).resolve().parents[4]


def test_w24_what_a_playbook_sets_is_what_the_rails_read(desk: Desk, arm: Arm, watch: Watch) -> None:
    """There a JSON file was written that nothing read."""
    arm("daily_loss")
    desk.submit("BUY", "0.001", price="59000")
    daily_loss(desk, True)
    watch()
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.001", price="58000")
    assert denied.value.code == "TRADING_HALTED"


def test_w24_success_is_claimed_only_for_what_was_seen_to_work(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the switch answered ok:true even when the call had failed."""
    from governance.services.playbooks import acting

    def unreachable(**_: Any) -> Any:
        from nautilus_site.common.errors import ApplicationError

        raise ApplicationError("NOT_READY", "nobody is there")

    monkeypatch.setattr(acting, "kill_raise", unreachable)
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    (action,) = PlaybookAction.objects.all()
    assert (action.state, action.after) == ("failed", None)
    monkeypatch.undo()
    actions_verify()
    assert effective_level(["global"])[0] is Level.REDUCING


def test_w25_and_w32_a_stop_outlives_the_process_that_made_it(desk: Desk, arm: Arm, watch: Watch) -> None:
    """There actions set environment variables of a process that ended."""
    import os

    before = dict(os.environ)
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    assert dict(os.environ) == before
    assert TradingState.objects.get(scope="global").level == Level.REDUCING


def test_w26_every_playbook_listens_to_something_that_is_measured() -> None:
    """There rules waited for reasons the rails never gave."""
    assert set(MEASURES) == set(PLAYBOOKS)
    assert OrderStatus.DENIED.value == "DENIED"
    assert "TRADING_HALTED" in {reason.value for reason in DenyReason}


def test_w26_one_playbooks_cool_down_does_not_silence_another(desk: Desk, watch: Watch) -> None:
    """There cool-downs belonged to the action, so that two rules with one action silenced each other."""
    Playbook.objects.exclude(name__in=("drawdown", "daily_loss")).update(is_armed=False)
    Playbook.objects.filter(name="daily_loss").update(threshold=100)
    drawdown(desk, True)
    watch(2)
    daily_loss(desk, True)
    watch(1)
    assert set(Incident.objects.values_list("kind", flat=True)) == {"drawdown", "daily_loss"}


def test_w26_installing_and_scheduling_twice_makes_nothing_twice(desk: Desk) -> None:
    """There a reload subscribed every handler once more."""
    from django_celery_beat.models import PeriodicTask

    from governance.receivers import install_schedules

    for _ in range(2):
        playbooks_install()
        schedules_install()
        install_schedules(None)
    assert Playbook.objects.count() == len(PLAYBOOKS)
    tasks = list(PeriodicTask.objects.values_list("task", flat=True))
    assert tasks.count("governance.tasks.guardian_tick") == 1


@pytest.mark.parametrize("name", ["eval", "exec", "compile", "__import__"])
def test_w26_nothing_in_governance_runs_text_as_code(name: str) -> None:
    for path in sorted((ROOT / "governance").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
            assert not called, f"{path}:{getattr(node, 'lineno', 0)} calls {name}"


def test_w27_after_a_hard_stop_a_position_can_still_be_closed(desk: Desk, arm: Arm, watch: Watch) -> None:
    """There flattening needed trading to be enabled."""
    desk.limit(near_duplicate_window=0)
    assert desk.send(desk.submit("BUY", "0.01", type="MARKET")).status == OrderStatus.FILLED
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.01", type="MARKET")
    assert desk.send(desk.submit("SELL", "0.009", type="MARKET")).status == OrderStatus.FILLED


def test_w28_a_restart_lowers_no_level_and_forgets_no_loss(desk: Desk, arm: Arm, watch: Watch) -> None:
    """There the guardian's first tick switched trading on and began the day's loss at zero."""
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    start = LossMeasure.objects.get(scope="global").day_start
    from governance.tasks import guardian_tick

    playbooks_install()  # what a start does, over and over
    for _ in range(3):
        guardian_tick()
    assert TradingState.objects.get(scope="global").level == Level.REDUCING
    assert LossMeasure.objects.get(scope="global").day_start == start


def test_w28_a_level_a_person_raised_survives_midnight_and_every_tick(desk: Desk) -> None:
    """There midnight overrode an operator's pause."""
    from trading.services.controls import kill_raise
    from trading.services.losses import losses_measure

    kill_raise(scope="global", level=Level.CANCEL, reason="people stopped it", actor="risk")
    from datetime import timedelta

    from governance.tasks import guardian_tick

    LossMeasure.objects.update(day=now().date() - timedelta(days=1))
    losses_measure()
    guardian_tick()
    assert TradingState.objects.get(scope="global").level == Level.CANCEL


def test_w28_the_days_loss_counts_what_is_not_realised_and_its_limit_never_grows_by_itself(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    """There only realised losses counted, and the larger of two limits was taken."""
    book = arm("daily_loss")
    daily_loss(desk, True)  # equity alone has moved; nothing was sold
    incident = watch()
    assert incident is not None
    for _ in range(3):
        watch()
    book.refresh_from_db()
    assert book.threshold == 100.0


def test_w31_a_playbook_runs_the_steps_of_its_own_name(desk: Desk, arm: Arm, watch: Watch) -> None:
    """There metric names and incident names differed, so that every incident got the diagnostics."""
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    done = [
        row.parameters for row in PlaybookAction.objects.filter(run__incident=incident).order_by("number")
    ]
    wanted = PLAYBOOKS["drawdown"].actions
    assert sorted(row["do"] for row in done) == sorted(row["do"] for row in wanted)


def test_w31_no_step_starts_a_process_or_switches_trading_on() -> None:
    """There steps ran shell lines, three of which restarted the engine with trading enabled."""
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("services/playbooks", "domain/playbooks")
        for path in (ROOT / "governance" / folder).rglob("*.py")
    ]
    for text in sources:
        assert "subprocess" not in text
        assert "os.system" not in text
        assert "TRADING_ENABLED" not in text
