"""From stored bars to the model in force, over the API, the broker and a Celery worker, each job in its own process.

A planted better model is promoted; a worse one and a lucky one are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from mlregistry.tasks import training_tick
from nautilus_site.common.models import Role
from tests.factories.markets import paying_closes, store_bars
from tests.factories.workers import running_workers
from trading.models import Strategy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
PATH = "/api/v1/models"
BARS, PATIENCE_S = 4000, 300
TRAINED_TO = "2023-02-28T00:00:00Z"


@pytest.fixture
def market(tmp_path: Path, settings: Any) -> Iterator[None]:
    """BTCUSDT pays whoever knows its regime, ETHUSDT nobody; a worker of the training queue."""
    settings.NAUTILUS_HOME = tmp_path / "home"
    store_bars(paying_closes(BARS), tmp_path)
    store_bars(paying_closes(BARS, seed=11, edge=False), tmp_path, "ETHUSDT")
    with running_workers("training", ["models"], tmp_path / "logs", TRAINING_SLOTS="2"):
        yield


class Registry:
    """The API as a model owner uses it, and beat, which hints at the queue every now and then."""

    def __init__(self, owner: APIClient, officer: Any) -> None:
        self._owner, self._officer = owner, officer

    def finished(self, path: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            training_tick.apply_async(queue="training", expires=4)
            told: dict[str, Any] = self._owner.get(path).json()
            if told["state"] in ("done", "failed", "canceled"):
                return told
            time.sleep(0.5)
        raise AssertionError(f"{path} did not end in {PATIENCE_S} s")

    def train(self, *asked: dict[str, Any]) -> list[int]:
        jobs = []
        for one in asked:
            body = {"model": "hmm", "interval": "1h", "end": TRAINED_TO, **one}
            answer = self._owner.post(f"{PATH}/train", body, format="json")
            assert answer.status_code == 202, answer.json()
            jobs.append(answer.json()["job_id"])
        ended = [self.finished(f"{PATH}/jobs/{job}") for job in jobs]
        assert [one["error"] for one in ended] == [""] * len(ended)
        return [one["model_version"] for one in ended]

    def judge(self, version: int) -> dict[str, Any]:
        answer = self._owner.post(f"{PATH}/{version}/judge", {"folds": 3}, format="json")
        assert answer.status_code == 202, answer.json()
        verdict = self.finished(f"{PATH}/verdicts/{answer.json()['job_id']}")
        assert (verdict["state"], verdict["error"]) == ("done", "")
        return verdict

    def promote(self, version: int, *, override: bool = False) -> Any:
        body = {"stage": "champion", "reason": "from the test", "override": override}
        return self._owner.post(f"{PATH}/{version}/promote", body, format="json")

    def approve(self, answer: Any) -> None:
        assert answer.status_code == 202, answer.json()
        decided = self._officer.post(f"/api/v1/approvals/{answer.json()['id']}/approve", {}, format="json")
        assert decided.status_code == 200, decided.json()

    def serving(self) -> dict[str, str]:
        """Digest in force by family; numbers go by which training ended first."""
        champions = self._owner.get(f"{PATH}/serving").json()["champions"]
        return {one["model"]: one["digest"] for one in champions}

    def digest(self, version: int) -> str:
        return str(self._owner.get(f"{PATH}/{version}").json()["digest"])


@pytest.mark.usefixtures("market")
def test_the_better_model_is_promoted_and_the_worse_and_the_lucky_are_not(
    token_client: Callable[..., APIClient], session_client: Callable[..., Any], make_user: Any
) -> None:
    registry = Registry(
        token_client(make_user(Role.MODEL_OWNER)), session_client(make_user(Role.RISK_OFFICER))
    )
    follower = Strategy.objects.create(
        name="follower",
        kind="hmm_policy",
        model_family="hmm-btcusdt-spot-1h",
        updated_at="2026-01-01T00:00:00Z",
    )
    first, better, worse, lucky = registry.train(
        {"symbol": "BTCUSDT", "states": 1},
        {"symbol": "BTCUSDT", "states": 2},
        {"symbol": "BTCUSDT", "states": 1, "end": "2023-02-20T00:00:00Z"},
        {"symbol": "ETHUSDT", "states": 2},
    )
    refused = registry.promote(first)
    assert (refused.status_code, refused.json()["code"]) == (409, "GATE_NOT_PASSED")
    registry.approve(registry.promote(first, override=True))
    assert registry.serving() == {"hmm-btcusdt-spot-1h": registry.digest(first)}
    verdict = registry.judge(better)
    assert verdict["passed"], [one for one in verdict["criteria"] if not one["passed"]]
    registry.approve(registry.promote(better))
    assert registry.serving() == {"hmm-btcusdt-spot-1h": registry.digest(better)}
    follower.refresh_from_db()
    assert follower.model_digest == registry.digest(better)
    for version in (worse, lucky):
        verdict = registry.judge(version)
        assert not verdict["passed"]
        assert "difference" in [one["name"] for one in verdict["criteria"] if not one["passed"]]
        assert registry.promote(version).json()["code"] == "GATE_NOT_PASSED"
    assert registry.serving() == {"hmm-btcusdt-spot-1h": registry.digest(better)}
