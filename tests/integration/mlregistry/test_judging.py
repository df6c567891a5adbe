"""The gate on a planted market: the better model passes, the worse and the lucky one do not, nothing else moves."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from mlregistry.domain.stages import Stage
from mlregistry.models import GateVerdict, ModelVersion
from mlregistry.selectors.verdicts import verdict_in_force
from mlregistry.services.evidence import trials_of
from mlregistry.services.judging import judge_cancel, judge_claim, judge_execute, judge_request
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request, version_move
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.markets import paying_bars, paying_closes, store_bars, trained_on
from trading.domain.regime.features import BarColumns
from trading.models import Strategy

pytestmark = pytest.mark.django_db
Clients = Callable[..., APIClient]
BARS, TRAINED = 4000, 1400


def first(bars: BarColumns, count: int) -> BarColumns:
    columns = (bars.high, bars.low, bars.close, bars.volume)
    return BarColumns(
        bars.close_ns[:count], bars.interval_ns, *(column[:count] for column in columns), bars.taker_base
    )


@pytest.fixture(scope="module")
def closes() -> Any:
    return paying_closes(BARS)


@pytest.fixture(scope="module")
def encoded(closes: Any) -> dict[str, Any]:
    bars = paying_bars(closes)
    return {
        "blind": trained_on(first(bars, TRAINED), states=1),
        "seeing": trained_on(first(bars, TRAINED), states=2),
        "again": trained_on(first(bars, TRAINED - 100), states=2),
    }


@pytest.fixture
def market(tmp_path: Path, settings: Any, closes: Any) -> None:
    settings.NAUTILUS_HOME = tmp_path / "home"
    store_bars(closes, tmp_path)


@pytest.fixture
def people() -> tuple[User, User]:
    return tuple(  # type: ignore[return-value]
        User.objects.create_user(username=role, password="x" * 20, role=role)
        for role in (Role.MODEL_OWNER, Role.RISK_OFFICER)
    )


def registered(artefact: Any) -> ModelVersion:
    return version_register(encoded=artefact, metrics={}, actor="test")


def champion_by_override(version: ModelVersion, people: tuple[User, User]) -> ModelVersion:
    asked = promotion_request(
        version=version, stage=Stage.CHAMPION, reason="first", requester=people[0], override=True
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    version.refresh_from_db()
    return version


def judged(version: ModelVersion, folds: int = 3) -> GateVerdict:
    asked = judge_request(version=version, requester="test", folds=folds)
    assert judge_claim(slots=1) == asked
    return judge_execute(verdict_id=asked.pk)


def failed(verdict: GateVerdict) -> set[str]:
    return {one["name"] for one in verdict.criteria if not one["passed"]}


@pytest.mark.usefixtures("market")
def test_a_planted_better_model_passes_and_may_then_be_promoted(
    encoded: dict[str, Any], people: tuple[User, User]
) -> None:
    champion = champion_by_override(registered(encoded["blind"]), people)
    better = registered(encoded["seeing"])
    with pytest.raises(Conflict, match="never judged"):
        promotion_request(version=better, stage=Stage.CHAMPION, reason="better", requester=people[0])
    verdict = judged(better)
    assert (verdict.state, verdict.error, failed(verdict)) == ("done", "", set())
    assert verdict.champion == champion
    assert verdict.figures["own_numbers"] == [True, True, True]
    assert verdict.figures["difference"]["low"] > 0
    asked = promotion_request(version=better, stage=Stage.CHAMPION, reason="better", requester=people[0])
    change_request_approve(request_id=asked.pk, approver=people[1])
    better.refresh_from_db()
    change = better.stage_changes.first()
    assert (better.stage, change.evidence["verdict"]) == (Stage.CHAMPION, str(verdict.uid))  # type: ignore[union-attr]


@pytest.mark.usefixtures("market")
@pytest.mark.long
def test_a_worse_model_and_one_that_is_as_good_do_not_pass(
    encoded: dict[str, Any], people: tuple[User, User]
) -> None:
    champion_by_override(registered(encoded["seeing"]), people)
    worse, equal = registered(encoded["blind"]), registered(encoded["again"])
    assert "difference" in failed(judged(worse))
    verdict = judged(equal)
    assert "difference" in failed(verdict)
    with pytest.raises(Conflict, match=r"did not pass the gate: .*difference"):
        promotion_request(version=equal, stage=Stage.CANARY, reason="newer", requester=people[0])
    with pytest.raises(Conflict, match="did not pass"):
        version_move(version_id=equal.pk, stage=Stage.SHADOW, actor=people[0], reason="look")


@pytest.mark.usefixtures("market")
def test_folds_before_the_end_of_training_are_judged_by_a_refit_of_the_recipe(closes: Any) -> None:
    version = registered(trained_on(paying_bars(closes), states=2))
    verdict = judged(version, folds=2)
    assert verdict.state == "done"
    assert verdict.figures["own_numbers"] == [False, False]
    assert all(window[1] + verdict.figures["gap"] == window[2] for window in verdict.figures["windows"])
    assert verdict.passed, verdict.criteria


def test_luck_on_a_market_without_an_edge_does_not_pass(tmp_path: Path, settings: Any) -> None:
    settings.NAUTILUS_HOME = tmp_path / "home"
    closes = paying_closes(2000, seed=11, edge=False)
    store_bars(closes, tmp_path)
    bars = paying_bars(closes)
    lucky = registered(trained_on(first(bars, 900), states=2))
    verdict = judged(lucky, folds=2)
    assert verdict.state == "done"
    assert {"difference", "deflated_sharpe"} <= failed(verdict)


@pytest.fixture
def passing(market: None, encoded: dict[str, Any]) -> ModelVersion:
    version = registered(encoded["seeing"])
    GateVerdict.objects.create(
        version=version,
        asked={},
        state="done",
        passed=True,
        policy={"strategy": "hmm_policy", "params": {}},
        created_at=timezone.now(),
        finished_at=timezone.now(),
    )
    return version


def test_a_verdict_speaks_while_it_is_fresh_newest_and_of_the_same_champion_and_policy(
    passing: ModelVersion, encoded: dict[str, Any], people: tuple[User, User]
) -> None:
    now = timezone.now()
    assert verdict_in_force(passing, now)[0] is not None
    assert verdict_in_force(passing, now + timedelta(days=6, hours=23))[0] is not None
    assert "older than 7 days" in verdict_in_force(passing, now + timedelta(days=7, seconds=1))[1]
    follower = Strategy.objects.create(
        name="f", kind="hmm_policy", model_family=passing.family.name, parameters={"cap": 0.5}, updated_at=now
    )
    assert "another policy" in verdict_in_force(passing, now)[1]
    follower.delete()
    champion_by_override(registered(encoded["blind"]), people)
    assert "another champion" in verdict_in_force(passing, now)[1]


def test_a_promotion_asked_for_with_a_pass_is_refused_when_a_later_verdict_failed(
    passing: ModelVersion, people: tuple[User, User]
) -> None:
    asked = promotion_request(version=passing, stage=Stage.CHAMPION, reason="better", requester=people[0])
    GateVerdict.objects.create(
        version=passing,
        asked={},
        state="done",
        passed=False,
        criteria=[{"name": "trades", "passed": False}],
        created_at=timezone.now(),
        finished_at=timezone.now(),
    )
    with pytest.raises(Conflict, match="did not pass the gate: trades"):
        change_request_approve(request_id=asked.pk, approver=people[1])
    passing.refresh_from_db()
    assert passing.stage == Stage.CANDIDATE


@pytest.mark.parametrize(
    "statement", ["UPDATE mlregistry_gateverdict SET passed = true", "DELETE FROM mlregistry_gateverdict"]
)
@pytest.mark.usefixtures("passing")
def test_the_database_refuses_to_change_a_verdict_that_is_over(statement: str) -> None:
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_every_version_and_every_judgement_of_one_again_counts_as_a_trial(
    passing: ModelVersion, encoded: dict[str, Any]
) -> None:
    other = registered(encoded["again"])
    assert trials_of(other) == (2.0, None)
    # Judged once already: a second look at the same version is a third trial.
    assert trials_of(passing)[0] == 3.0


def test_too_few_bars_fail_the_judgement_with_the_reason(passing: ModelVersion) -> None:
    asked = judge_request(version=passing, requester="test", folds=5, bars=300)
    judge_claim(slots=1)
    verdict = judge_execute(verdict_id=asked.pk)
    assert (verdict.state, verdict.passed) == ("failed", None)
    assert "expected at least 50" in verdict.error


def test_a_judgement_is_queued_once_claimed_once_canceled_and_taken_up_when_lost(
    passing: ModelVersion,
) -> None:
    asked = judge_request(version=passing, requester="test")
    with pytest.raises(Conflict, match="being judged already"):
        judge_request(version=passing, requester="test")
    assert judge_claim(slots=1) == asked
    assert judge_claim(slots=1) is None
    GateVerdict.objects.filter(pk=asked.pk).update(beat_at=timezone.now() - timedelta(minutes=3))
    assert judge_claim(slots=1) == asked
    judge_cancel(verdict=asked, actor="test")
    assert judge_execute(verdict_id=asked.pk).state == "canceled"
    with pytest.raises(Conflict, match="canceled already"):
        judge_cancel(verdict=asked, actor="test")
    with pytest.raises(ApplicationError, match="folds"):
        judge_request(version=passing, requester="test", folds=1)


def test_the_command_prints_every_criterion_and_ends_with_1_where_one_failed(
    market: None, encoded: dict[str, Any], capsys: Any
) -> None:
    version = registered(encoded["blind"])
    named = f"{version.family.name}@{version.number}"
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("models", "judge", named, "--folds", "2", "--bars", "2200", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert ended.value.code == 1
    assert (told["state"], told["passed"]) == ("done", False)
    assert {one["name"] for one in told["criteria"]} >= {"trades", "difference", "deflated_sharpe"}


def test_owners_ask_for_a_judgement_and_everybody_reads_it(
    passing: ModelVersion, token_client: Clients, make_user: Any
) -> None:
    owner, viewer = token_client(make_user(Role.MODEL_OWNER)), token_client(make_user(Role.VIEWER))
    path = f"/api/v1/models/{passing.pk}"
    assert viewer.post(f"{path}/judge", {}, format="json").status_code == 403
    assert owner.post(f"{path}/judge", {"folds": 1}, format="json").status_code == 400
    answer = owner.post(f"{path}/judge", {"folds": 3}, format="json")
    assert answer.status_code == 202
    told = viewer.get(f"/api/v1/models/verdicts/{answer.json()['job_id']}").json()
    assert (told["state"], told["asked"]["folds"], told["passed"]) == ("queued", 3, None)
    listed = viewer.get("/api/v1/models/verdicts", {"passed": "true"}).json()["results"]
    assert [row["version"] for row in listed] == [passing.number]
    assert len(viewer.get(path).json()["verdicts"]) == 2
    assert owner.delete(f"/api/v1/models/verdicts/{told['id']}").status_code == 202
    asked = owner.post(f"{path}/promote", {"reason": "it passed", "stage": "champion"}, format="json")
    assert asked.status_code == 202
    assert asked.json()["diff"]["gate"] == [None, "passed"]
