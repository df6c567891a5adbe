"""A job whose process lives is not taken for lost, however long it says nothing of itself."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command

from mlregistry.management.commands import train
from mlregistry.models import TrainingRun
from mlregistry.services.signs_of_life import signs_of_life
from mlregistry.services.training import training_claim, training_request
from nautilus_site.common.clock import now

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = {"model": "hmm", "symbol": "BTCUSDT", "interval": "1h", "states": 2}
LONG_SILENT = timedelta(minutes=2)


def claimed() -> TrainingRun:
    training_request(asked=ASKED, requester="test")
    run = training_claim(slots=1)
    assert run is not None
    return run


def aged(run: TrainingRun) -> None:
    TrainingRun.objects.filter(pk=run.pk).update(beat_at=now() - LONG_SILENT)


def test_a_run_that_compiles_for_minutes_is_not_given_to_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = claimed()
    monkeypatch.setattr(train, "signs_of_life", partial(signs_of_life, every_s=0.05))
    monkeypatch.setattr(train.os, "nice", lambda _: 0)
    monkeypatch.setattr(train.resource, "setrlimit", lambda *_: None)

    def compiles(*, run_id: int) -> TrainingRun:
        aged(run)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if TrainingRun.objects.get(pk=run_id).beat_at > now() - timedelta(seconds=30):
                break
            time.sleep(0.02)
        assert training_claim(slots=1) is None, "it was taken for lost"
        TrainingRun.objects.filter(pk=run_id).update(state=TrainingRun.State.DONE)
        return TrainingRun.objects.get(pk=run_id)

    monkeypatch.setattr(train, "training_execute", compiles)
    call_command("train", "--run", str(run.uid))
    run.refresh_from_db()
    assert run.attempts == 1


def test_an_attempt_that_was_replaced_gives_no_sign_for_the_one_that_replaced_it() -> None:
    run = claimed()
    own: Any = TrainingRun.objects.filter(pk=run.pk, attempts=run.attempts)
    aged(run)
    assert training_claim(slots=1) == run
    aged(run)
    with signs_of_life(own, every_s=0.02):
        time.sleep(0.3)
        run.refresh_from_db()
        assert run.beat_at < now() - timedelta(minutes=1)
