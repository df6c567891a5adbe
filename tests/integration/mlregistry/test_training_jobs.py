"""Training as jobs: queued, carried out by a process of its own, followed, canceled, taken up again when lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from rest_framework.test import APIClient

from mlregistry.models import ModelVersion, TrainingRun
from mlregistry.services.training import (
    training_cancel,
    training_claim,
    training_execute,
    training_request,
)
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import OutboxEvent, Role
from tests.unit.trading.domain.regime.simulated import THREE, simulate
from trading.domain.clock import ns_to_datetime

T0_S = 1_672_531_200  # 2023-01-01 00:00 UTC
ASKED = {"model": "hmm", "symbol": "BTCUSDT", "market": "spot", "interval": "1h", "states": 2, "seed": 1}
Clients = Callable[..., APIClient]


@pytest.fixture
def stored(tmp_path: Path, settings: Any) -> None:
    """A thousand hourly bars of a planted market."""
    settings.NAUTILUS_HOME = tmp_path / "home"
    returns, _ = simulate(THREE, 1000, seed=3)
    volumes = np.exp(np.random.default_rng(3).normal(3.0, 0.4, size=1000))
    close, lines = 20_000.0, ["date,open,high,low,close,volume"]
    for n, (change, volume) in enumerate(zip(returns[:, 0], volumes, strict=True)):
        before, close = close, round(close * float(np.exp(change)), 2)
        high, low = max(before, close) * 1.0005, min(before, close) * 0.9995
        at = ns_to_datetime((T0_S + n * 3600) * 1_000_000_000)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{before:.2f},{high:.2f},{low:.2f},{close:.2f},{volume:.4f}")
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(lines) + "\n")
    call_command(
        "klines", "import", str(path), "--symbol", "BTCUSDT", "--interval", "1h", stdout=io.StringIO()
    )


@pytest.mark.django_db
@pytest.mark.usefixtures("stored")
def test_a_run_becomes_a_candidate_and_the_same_again_is_the_same_digest() -> None:
    first = training_request(asked=ASKED, requester="test")
    assert training_claim(slots=1) == first
    done = training_execute(run_id=first.pk)
    assert (done.state, done.error) == (TrainingRun.State.DONE, "")
    version = ModelVersion.objects.get()
    assert (version.digest, version.run, version.stage) == (done.digest, done, "candidate")
    assert version.metrics["log_likelihood"] == done.log_likelihood[-1]
    again = training_request(asked=ASKED, requester="test")
    assert training_claim(slots=1) == again
    assert training_execute(run_id=again.pk).digest == done.digest
    assert ModelVersion.objects.count() == 1
    events = OutboxEvent.objects.filter(topic="models", data__job=str(first.uid)).order_by("pk")
    told = events.values_list("data__state", flat=True)
    assert list(told)[-1] == "done"


@pytest.mark.django_db
@pytest.mark.usefixtures("stored")
def test_data_that_cannot_be_trained_on_fails_the_run_with_the_reason() -> None:
    run = training_request(asked={**ASKED, "symbol": "ETHUSDT"}, requester="test")
    training_claim(slots=1)
    assert training_execute(run_id=run.pk).state == TrainingRun.State.FAILED
    run.refresh_from_db()
    assert "no spot bars of ETHUSDT 1h are stored" in run.error


@pytest.mark.django_db
def test_slots_bound_how_many_run_and_a_lost_run_is_taken_up_again_once() -> None:
    first, second = (training_request(asked={**ASKED, "seed": n}, requester="test") for n in (1, 2))
    assert training_claim(slots=1) == first
    assert training_claim(slots=1) is None
    TrainingRun.objects.filter(pk=first.pk).update(beat_at=now() - timedelta(minutes=2))
    assert training_claim(slots=1) == first
    TrainingRun.objects.filter(pk=first.pk).update(beat_at=now() - timedelta(minutes=2))
    assert training_claim(slots=1) == second
    first.refresh_from_db()
    assert (first.state, first.attempts) == (TrainingRun.State.FAILED, 2)


@pytest.mark.django_db
@pytest.mark.usefixtures("stored")
def test_a_queued_run_is_canceled_at_once_and_a_running_one_at_its_next_progress() -> None:
    queued, running = (training_request(asked={**ASKED, "seed": n}, requester="test") for n in (1, 2))
    assert training_cancel(run=queued, actor="test").state == TrainingRun.State.CANCELED
    assert training_claim(slots=1) == running
    training_cancel(run=running, actor="test")
    assert training_execute(run_id=running.pk).state == TrainingRun.State.CANCELED
    assert not ModelVersion.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong", [{"model": "oracle"}, {"states": 99}, {"seed": -1}, {"start": "2024-01-02", "end": "2024-01-01"}]
)
def test_what_no_recipe_takes_is_refused_when_it_is_asked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ApplicationError) as refused:
        training_request(asked={**ASKED, **wrong}, requester="test")
    assert refused.value.code == "INVALID_TRAINING"
    assert not TrainingRun.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("stored")
def test_a_worker_s_child_carries_a_run_out(settings: Any) -> None:
    run = training_request(asked=ASKED, requester="test")
    training_claim(slots=1)
    values = connection.get_connection_params()
    url = f"postgresql://{values['user']}@/{values['dbname']}?host={values['host']}"
    environment = {
        **os.environ,
        "NAUTILUS_HOME": str(settings.NAUTILUS_HOME),
        "DATABASE_URL": url + (f"&port={values['port']}" if values.get("port") else ""),
    }
    if values.get("password"):
        environment["PGPASSWORD"] = str(values["password"])
    command = [sys.executable, str(django_settings.BASE_DIR / "manage.py"), "train", "--run", str(run.uid)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not ModelVersion.objects.exists():
        time.sleep(0.1)
    assert ModelVersion.objects.get().run == run


PATH = "/api/v1/models"


@pytest.mark.django_db
def test_model_owners_train_and_others_learn_what_they_lack(token_client: Clients, make_user: Any) -> None:
    body = {"model": "hmm", "symbol": "btc/usdt", "interval": "1h", "states": 2}
    for role in Role.values:
        answer = token_client(make_user(role)).post(f"{PATH}/train", body, format="json")
        if role != Role.MODEL_OWNER:
            assert (answer.status_code, answer.json()["permission"]) == (403, "models.train")
            continue
        assert answer.status_code == 202
        job = token_client(make_user(role)).get(f"{PATH}/jobs/{answer.json()['job_id']}").json()
        assert (job["state"], job["progress"], job["asked"]["symbol"]) == ("queued", 0.0, "BTCUSDT")


@pytest.mark.django_db
def test_an_unknown_version_is_404_and_a_misspelt_member_is_named(
    token_client: Clients, make_user: Any
) -> None:
    owner = token_client(make_user(Role.MODEL_OWNER))
    assert owner.get(f"{PATH}/999").json()["code"] == "UNKNOWN_MODEL"
    assert owner.post(f"{PATH}/999/infer", {}, format="json").status_code == 404
    wrong = owner.post(
        f"{PATH}/train", {"model": "hmm", "symbol": "BTCUSDT", "interval": "1h", "seeds": 3}, format="json"
    )
    assert (wrong.status_code, wrong.json()["code"]) == (400, "UNKNOWN_FIELD")


@pytest.mark.django_db
def test_serving_at_a_moment_needs_a_time_zone(token_client: Clients, make_user: Any) -> None:
    viewer = token_client(make_user(Role.VIEWER))
    assert viewer.get(f"{PATH}/serving").json()["champions"] == []
    assert viewer.get(f"{PATH}/serving", {"at": "2026-01-01T00:00:00Z"}).status_code == 200
    assert viewer.get(f"{PATH}/serving", {"at": "yesterday"}).status_code == 400
