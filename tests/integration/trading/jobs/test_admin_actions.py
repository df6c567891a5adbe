"""The admin's actions on jobs and on strategies that run: a permission, a confirmation, one service call each."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from nautilus_site.common.clock import now
from tests.integration.trading.api.world import build_world
from trading.models import ResearchJob, Strategy, StrategyInstance
from trading.services.jobs import job_create, job_request, job_step


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def instance(db: None) -> StrategyInstance:
    world = build_world()
    strategy = Strategy.objects.create(
        name="averages", kind="moving_average", interval="1h", updated_at=now(), parameters={"fast": 5}
    )
    return StrategyInstance.objects.create(strategy=strategy, account=world.account, instrument=world.eth)


def test_what_runs_live_is_backtested_with_its_parameters_once_confirmed(
    instance: StrategyInstance, make_user: Any
) -> None:
    client = browser(make_user("trader"))
    place = reverse("admin:trading_strategyinstance_changelist")
    asked = {"action": "backtest_selected", "_selected_action": [instance.pk]}
    page = client.post(place, asked)
    assert page.status_code == 200
    assert "Trading is not touched" in page.content.decode()
    assert not ResearchJob.objects.exists()
    client.post(place, {**asked, "confirmed": "yes"})
    job = ResearchJob.objects.get()
    assert (job.request["strategy"], job.request["params"]) == ("moving_average", {"fast": 5})
    job_step(job_id=job.pk)
    job.refresh_from_db()
    assert job.state == "done"


def test_jobs_are_stopped_and_go_on_and_only_those_who_may_are_offered_it(make_user: Any) -> None:
    trader = make_user("trader")
    body = {"strategy": "moving_average", "symbol": "ETHUSDT", "interval": "1h"}
    job = job_create(request=job_request(body), actor=trader)
    place = reverse("admin:trading_researchjob_changelist")
    stop = {"action": "cancel_selected", "_selected_action": [job.pk], "confirmed": "yes"}
    browser(make_user("risk_officer")).post(place, stop)
    job.refresh_from_db()
    assert job.state == "queued"
    client = browser(trader)
    client.post(place, stop)
    job.refresh_from_db()
    assert job.state == "canceled"
    client.post(place, {**stop, "action": "resume_selected"})
    job.refresh_from_db()
    assert job.state == "queued"
    detail = client.get(reverse("admin:trading_researchjob_change", args=[job.pk]))
    assert detail.status_code == 200
    assert "checkpoint" not in detail.content.decode()
