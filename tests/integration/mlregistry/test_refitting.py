"""Training anew by an approved schedule: when it is due, on which window, and never without two people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from mlregistry.models import ModelFamily, ModelVersion, TrainingRun
from mlregistry.services.envelopes import envelope_close, envelope_request, family_get
from mlregistry.services.refitting import refit_request, refits_request
from mlregistry.services.register import version_register
from mlregistry.services.training import training_request
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.canaries import FAMILY
from universe.models import KlineFile

pytestmark = pytest.mark.django_db
ASKED = {"model": "hmm", "symbol": "BTCUSDT", "market": "spot", "interval": "1h", "states": 2, "seed": 7}


@pytest.fixture
def family(settings: Any, tmp_path: Any, encoded: dict[str, Any], people: tuple[User, User]) -> ModelFamily:
    """A version that was trained as a job, and bars a day newer than those it was trained on."""
    settings.NAUTILUS_HOME = tmp_path
    run = training_request(asked=ASKED, requester="test")
    version = version_register(encoded=encoded["seeing"], metrics={}, actor="test", run=run)
    TrainingRun.objects.update(state=TrainingRun.State.DONE)
    bars_until(version.dataset.end_at + timedelta(days=1))
    return family_get(FAMILY)


def bars_until(at: datetime) -> None:
    KlineFile.objects.update_or_create(
        symbol="BTCUSDT", market="spot", interval="1h",
        defaults={
            "path": "b.parquet", "sha256": "0" * 64, "rows": 2000, "source": "test", "created_at": timezone.now(),
            "first_open_time": at - timedelta(days=90), "last_open_time": at,
        },
    )  # fmt: skip


def schedule(family: ModelFamily, people: tuple[User, User], days: float = 7.0) -> str:
    asked = envelope_request(
        family=family,
        envelope={"refit_days": days, "until": (timezone.now() + timedelta(days=80)).isoformat()},
        reason="once a week",
        requester=people[0],
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    return str(asked.pk)


def aged(days: float) -> None:
    at = timezone.now() - timedelta(days=days)
    ModelVersion.objects.update(created_at=at)
    TrainingRun.objects.update(created_at=at)


def test_a_refit_is_due_when_the_newest_is_as_old_as_the_schedule_and_makes_a_run(
    family: ModelFamily, people: tuple[User, User]
) -> None:
    approval = schedule(family, people)
    aged(6.99)
    assert refit_request(family=family) == (None, "the newest is younger than 7 days")
    aged(7.01)
    (run,) = refits_request()
    assert {name: run.asked[name] for name in (*ASKED, "start", "end")} == {
        **ASKED,
        "start": None,
        "end": None,
    }
    assert (run.state, run.family) == ("queued", family)
    audit = AuditEntry.objects.filter(action="training.requested").latest("id")
    assert audit.actor_name == f"refit schedule, approved by {approval}"
    # One at a time, and what is asked for by itself is asked for once.
    assert refit_request(family=family) == (None, "a run is not over yet")
    TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.FAILED)
    assert refit_request(family=family) == (None, "the newest is younger than 7 days")


def test_nothing_is_trained_by_itself_without_a_schedule_past_its_end_or_once_closed(
    family: ModelFamily, people: tuple[User, User]
) -> None:
    aged(30)
    assert refits_request() == []
    schedule(family, people)
    past = {**family_get(FAMILY).envelope, "until": (timezone.now() - timedelta(seconds=1)).isoformat()}
    before = family_get(FAMILY).envelope
    ModelFamily.objects.update(envelope=past)
    assert refits_request() == []
    ModelFamily.objects.update(envelope=before)
    envelope_close(family=family, actor=people[1], reason="enough")
    assert refits_request() == []
    assert TrainingRun.objects.count() == 1


def test_without_newer_bars_there_is_nothing_to_learn(family: ModelFamily, people: tuple[User, User]) -> None:
    schedule(family, people)
    aged(8)
    bars_until(ModelVersion.objects.get().dataset.end_at)
    assert refit_request(family=family) == (None, "no newer bars are stored")


def test_a_window_of_a_given_length_moves_with_the_bars(
    family: ModelFamily, people: tuple[User, User]
) -> None:
    schedule(family, people)
    aged(8)
    window = {"start": "2023-01-01T00:00:00+00:00", "end": "2023-01-31T00:00:00+00:00"}
    TrainingRun.objects.update(asked={**ASKED, **window})
    run, _ = refit_request(family=family)
    assert run is not None
    until = KlineFile.objects.get().last_open_time
    assert datetime.fromisoformat(run.asked["end"]) == until
    assert datetime.fromisoformat(run.asked["start"]) == until - timedelta(days=30)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"refit_days": 7}, "needs an end"),
        ({"refit_days": 0.1, "until": "soon"}, "0.25 or more"),
        ({"refit_days": -1}, "zero or more"),
    ],
)
def test_a_schedule_nobody_should_approve_is_refused(
    family: ModelFamily, people: tuple[User, User], members: dict[str, Any], says: str
) -> None:
    if members.get("until"):
        members = {**members, "until": (timezone.now() + timedelta(days=1)).isoformat()}
    with pytest.raises(ApplicationError, match=says):
        envelope_request(family=family, envelope=members, reason="x", requester=people[0])
