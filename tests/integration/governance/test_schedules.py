"""What runs by itself: a row beat reads for each task, each task known to the workers, on the queue it says."""

from __future__ import annotations

from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask

from governance import tasks
from governance.receivers import SCHEDULES
from governance.services.defaults import CAREFUL, policies_install
from tests.factories.trading import trading_desk
from trading.models import StrategyInstance


@pytest.mark.django_db
def test_every_schedule_of_governance_is_a_row_and_its_task_exists() -> None:
    rows = {row.name: row for row in PeriodicTask.objects.select_related("interval")}
    for name, task, queue, every_s, _ in SCHEDULES:
        assert (rows[name].task, rows[name].queue, rows[name].interval.every) == (task, queue, every_s)
        assert getattr(tasks, task.rpartition(".")[2]).name == task
    assert {"capital tick", "routing tick", "rules tick"} <= {name for name, *_ in SCHEDULES}


@pytest.mark.django_db
def test_outside_the_demo_the_first_policies_change_nothing(settings: Any) -> None:
    settings.BINANCE_ENV = "live"
    trading_desk()
    before = sorted(StrategyInstance.objects.values_list("pk", "weight", "allocation", "in_force_until"))
    assert sorted(policies_install()) == sorted(CAREFUL)
    for task in (tasks.capital_tick, tasks.routing_tick, tasks.rules_tick):
        task()
    assert before == sorted(
        StrategyInstance.objects.values_list("pk", "weight", "allocation", "in_force_until")
    )
