"""A study is shared by workers and is over exactly once, with a worker lost on the way and everything tried twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from mlregistry.models import ModelVersion, TrainingRun, TrainingStudy
from mlregistry.selectors.studies import study_detail, study_get
from mlregistry.services import training
from mlregistry.services.training import training_claim, training_execute, training_request
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import OutboxEvent, Role
from tests.factories.markets import paying_closes, store_bars

PATH = "/api/v1/models/studies"
Clients = Callable[..., APIClient]


@pytest.fixture
def stored(tmp_path: Path, settings: Any) -> None:
    settings.NAUTILUS_HOME = tmp_path / "home"
    for seed, symbol in ((5, "BTCUSDT"), (6, "ETHUSDT")):
        store_bars(paying_closes(600, seed=seed), tmp_path, symbol)


def work() -> None:
    """What a worker does until nothing is queued and nothing runs."""
    try:
        while TrainingRun.objects.filter(state__in=("queued", "running")).exists():
            run = training_claim(slots=3)
            if run is not None:
                training_execute(run_id=run.pk)
    finally:
        connections.close_all()


def done_events(**data: Any) -> int:
    found = OutboxEvent.objects.filter(topic="models", data__state="done")
    return found.filter(**{f"data__{name}": value for name, value in data.items()}).count()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("stored")
def test_a_study_over_three_workers_one_of_them_lost_is_over_exactly_once(
    token_client: Clients, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = token_client(make_user(Role.MODEL_OWNER))
    body = {
        "model": "hmm",
        "symbols": ["BTCUSDT", "eth/usdt"],
        "interval": "1h",
        "states": [1, 2],
        "seeds": [0, 1],
    }
    answer = owner.post(PATH, body, format="json")
    assert (answer.status_code, answer.json()["runs"]) == (202, 8)
    study = TrainingStudy.objects.get(uid=answer.json()["study_id"])
    others_are_done, trained = threading.Event(), training._train

    def late(run: TrainingRun) -> Any:
        found = trained(run)
        if run.pk == lost.pk and run.attempts == 1:
            assert others_are_done.wait(120)
        return found

    monkeypatch.setattr(training, "_train", late)
    lost = training_claim(slots=1)
    assert lost is not None

    def linger() -> None:
        try:
            training_execute(run_id=lost.pk)
        finally:
            connections.close_all()

    slow = threading.Thread(target=linger)
    slow.start()
    # It says nothing for two minutes: another worker takes its run up, and it comes back when all is over.
    while TrainingRun.objects.get(pk=lost.pk).attempts == 1:
        TrainingRun.objects.filter(pk=lost.pk).update(beat_at=now() - timedelta(minutes=2))
        claimed = training_claim(slots=3)
        if claimed is not None:
            training_execute(run_id=claimed.pk)
    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    study.refresh_from_db()
    over_at = study.finished_at
    assert over_at is not None
    others_are_done.set()
    slow.join(120)
    for run in study.runs.all():
        training_execute(run_id=run.pk)  # the message comes a second time
    told = study_detail(study_get(study.uid))
    assert (told["state"], told["by_state"], told["progress"]) == ("done", {"done": 8}, 1.0)
    study.refresh_from_db()
    assert study.finished_at == over_at
    assert done_events(study=str(study.uid)) == 1
    assert [done_events(job=str(run.uid)) for run in study.runs.all()] == [1] * 8
    assert TrainingRun.objects.get(pk=lost.pk).attempts == 2
    assert {run.attempts for run in study.runs.exclude(pk=lost.pk)} == {1}
    digests = set(study.runs.values_list("digest", flat=True))
    assert "" not in digests
    assert ModelVersion.objects.count() == len(digests)
    for family in ("hmm-btcusdt-spot-1h", "hmm-ethusdt-spot-1h"):
        bics = [one["bic"] for one in told["results"] if one["model"] == family]
        assert len(bics) == 4
        assert bics == sorted(bics)


@pytest.mark.django_db
def test_a_study_is_asked_for_by_owners_with_what_can_be_trained_and_canceled(
    token_client: Clients, make_user: Any
) -> None:
    owner, viewer = (token_client(make_user(role)) for role in (Role.MODEL_OWNER, Role.VIEWER))
    body: dict[str, Any] = {"model": "hmm", "symbols": ["BTCUSDT"], "interval": "1h", "states": [None, 3]}
    assert viewer.post(PATH, body, format="json").status_code == 403
    for wrong, code in (
        ({"seed": 1}, "UNKNOWN_FIELD"),
        ({"states": [99]}, "VALIDATION"),
        ({"symbols": []}, "VALIDATION"),
        ({"seeds": list(range(50)), "symbols": ["ADAUSDT", "BNBUSDT", "XRPUSDT"]}, "INVALID_TRAINING"),
    ):
        answer = owner.post(PATH, {**body, **wrong}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not TrainingStudy.objects.exists()
    study = owner.post(PATH, body, format="json").json()["study_id"]
    assert viewer.get(PATH).json()["results"][0]["by_state"] == {"queued": 2}
    assert viewer.delete(f"{PATH}/{study}").status_code == 403
    canceled = owner.delete(f"{PATH}/{study}")
    assert (canceled.status_code, canceled.json()["state"]) == (202, "done")
    assert canceled.json()["by_state"] == {"canceled": 2}
    assert owner.delete(f"{PATH}/{study}").json()["code"] == "TRAINING_OVER"
    assert viewer.get(f"{PATH}/00000000-0000-0000-0000-000000000000").json()["code"] == "UNKNOWN_STUDY"


@pytest.mark.django_db
@pytest.mark.usefixtures("stored")
def test_what_an_attempt_that_was_given_up_finds_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"model": "hmm", "symbol": "BTCUSDT", "interval": "1h", "states": 1, "seed": 0}
    run = training_request(asked=asked, requester="test")
    training_claim(slots=1)
    trained = training._train

    def overtaken(row: TrainingRun) -> Any:
        found = trained(row)
        TrainingRun.objects.filter(pk=row.pk).update(attempts=2)
        return found

    monkeypatch.setattr(training, "_train", overtaken)
    training_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.state, run.digest) == (TrainingRun.State.RUNNING, "")
    assert not ModelVersion.objects.exists()
    with pytest.raises(Conflict, match="over already"):
        training.study_cancel(study=TrainingStudy.objects.create(asked={}, created_at=now()), actor="test")
