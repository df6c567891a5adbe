"""The registry: what is registered stays, what trades was approved by two, and what served when can be told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion
from mlregistry.selectors.versions import champion_at
from mlregistry.services.artefacts import artefact_place, artefact_verify
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request, rollback, version_move
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden
from nautilus_site.common.models import AuditEntry, Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.models import trained_artefact
from trading.domain.errors import IllegalTransition
from trading.domain.regime.artefact import EncodedArtefact
from trading.domain.regime.errors import ArtefactRefused
from trading.domain.strategies.parameters import ParameterError
from trading.models import Strategy
from trading.services.models import model_name, parameters_in_force

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def artefacts() -> list[EncodedArtefact]:
    return [trained_artefact(seed) for seed in range(3)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.NAUTILUS_HOME = tmp_path
    return tmp_path


@pytest.fixture
def people() -> dict[str, User]:
    return {
        role: User.objects.create_user(username=name, password="x" * 20, role=role)
        for name, role in (("mo", Role.MODEL_OWNER), ("risk", Role.RISK_OFFICER))
    }


def registered(encoded: EncodedArtefact) -> ModelVersion:
    return version_register(encoded=encoded, metrics={"bic": 1.0}, actor="test")


def promoted(version: ModelVersion, people: dict[str, User]) -> ModelVersion:
    request = promotion_request(
        version=version,
        stage=Stage.CHAMPION,
        reason="better",
        requester=people[Role.MODEL_OWNER],
        override=True,
    )
    change_request_approve(request_id=request.pk, approver=people[Role.RISK_OFFICER])
    version.refresh_from_db()
    return version


def test_a_registered_model_is_a_numbered_candidate_with_its_data_and_bytes(
    artefacts: list[EncodedArtefact], home: Path
) -> None:
    version = registered(artefacts[0])
    assert (str(version), version.stage, version.digest) == (
        "hmm-btcusdt-spot-1h v1",
        Stage.CANDIDATE,
        artefacts[0].digest,
    )
    assert version.dataset.bars_sha256 == version.lineage["bars_sha256"]
    assert version.dataset.bars == 600
    assert (home / "models" / version.digest / "model.json").is_file()
    assert registered(artefacts[0]).pk == version.pk
    assert str(registered(artefacts[1])) == "hmm-btcusdt-spot-1h v2"


def test_only_a_second_person_lets_a_model_trade(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    version = registered(artefacts[0])
    with pytest.raises(ApplicationError, match="second person"):
        version_move(version_id=version.pk, stage=Stage.CHAMPION, actor="machine", reason="looks good")
    request = promotion_request(
        version=version,
        stage=Stage.CHAMPION,
        reason="better",
        requester=people[Role.MODEL_OWNER],
        override=True,
    )
    with pytest.raises(Forbidden):
        change_request_approve(request_id=request.pk, approver=people[Role.MODEL_OWNER])
    version.refresh_from_db()
    assert version.stage == Stage.CANDIDATE
    change_request_approve(request_id=request.pk, approver=people[Role.RISK_OFFICER])
    version.refresh_from_db()
    assert version.stage == Stage.CHAMPION
    change = version.stage_changes.first()
    assert change is not None
    assert (change.approval, change.actor) == (str(request.pk), "mo and risk")


def test_a_promotion_is_written_onto_the_strategies_that_follow_the_family(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    """W85: the earlier promotion changed files, told no engine and was never audited."""
    follower = Strategy.objects.create(
        name="follower", kind="hmm_policy", model_family="hmm-btcusdt-spot-1h", updated_at=timezone.now()
    )
    with pytest.raises(ParameterError, match="in force"):
        parameters_in_force(follower)
    first = promoted(registered(artefacts[0]), people)
    follower.refresh_from_db()
    assert parameters_in_force(follower)["model"] == first.digest
    assert model_name(follower) == "hmm-btcusdt-spot-1h@1"
    second = promoted(registered(artefacts[1]), people)
    follower.refresh_from_db()
    first.refresh_from_db()
    assert (follower.model_digest, first.stage) == (second.digest, Stage.RETIRED)
    rollback(family=second.family, actor=people[Role.RISK_OFFICER], reason="it lost money")
    follower.refresh_from_db()
    assert follower.model_digest == first.digest
    assert (
        AuditEntry.objects.filter(action="strategy.model_in_force", target="strategy:follower").count() == 3
    )


def test_a_champion_that_leaves_leaves_no_model_in_force(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    follower = Strategy.objects.create(
        name="follower", kind="hmm_policy", model_family="hmm-btcusdt-spot-1h", updated_at=timezone.now()
    )
    version = promoted(registered(artefacts[0]), people)
    version_move(version_id=version.pk, stage=Stage.SHADOW, actor="drift", reason="log score fell")
    follower.refresh_from_db()
    assert follower.model_digest == ""


def test_a_family_in_which_nothing_served_has_nothing_to_roll_back(artefacts: list[EncodedArtefact]) -> None:
    family = registered(artefacts[0]).family
    with pytest.raises(Conflict, match="no earlier champion"):
        rollback(family=family, actor="risk", reason="none served")


def test_one_person_does_not_put_back_what_another_rolled_back(
    artefacts: list[EncodedArtefact], people: dict[str, User], session_client: Callable[..., APIClient]
) -> None:
    first = promoted(registered(artefacts[0]), people)
    second = promoted(registered(artefacts[1]), people)
    officer, owner = session_client(people[Role.RISK_OFFICER]), session_client(people[Role.MODEL_OWNER])
    told = owner.get(f"/api/v1/models/{second.pk}").json()["rollback"]
    assert told == {"to": str(first), "why_not": ""}
    body = {"reason": "it lost money"}
    assert officer.post(f"/api/v1/models/{second.pk}/rollback", body, format="json").status_code == 200
    again = owner.post(f"/api/v1/models/{first.pk}/rollback", body, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "NOTHING_TO_ROLL_BACK")
    told = owner.get(f"/api/v1/models/{first.pk}").json()["rollback"]
    assert told["to"] is None
    assert str(second) in told["why_not"]
    first.refresh_from_db()
    assert first.stage == Stage.CHAMPION
    second.refresh_from_db()
    promoted(second, people)
    assert rollback(family=second.family, actor=people[Role.MODEL_OWNER], reason="again") == first


def test_what_was_taken_out_of_force_is_no_earlier_champion(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    first = promoted(registered(artefacts[0]), people)
    version_move(
        version_id=first.pk, stage=Stage.RETIRED, actor=people[Role.RISK_OFFICER], reason="it lost money"
    )
    with pytest.raises(Conflict, match="another approval only"):
        rollback(family=first.family, actor=people[Role.MODEL_OWNER], reason="back again, alone")
    second = promoted(registered(artefacts[1]), people)
    with pytest.raises(Conflict, match=str(first)):
        rollback(family=second.family, actor=people[Role.MODEL_OWNER], reason="back again, past another")


def test_what_served_at_a_moment_is_read_from_the_history(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    before = timezone.now()
    first = promoted(registered(artefacts[0]), people)
    between = timezone.now()
    second = promoted(registered(artefacts[1]), people)
    after = timezone.now()
    family = first.family
    assert champion_at(family, before - timedelta(seconds=1)) is None
    assert champion_at(family, between) == first
    assert champion_at(family, after) == second
    rollback(family=family, actor=people[Role.RISK_OFFICER], reason="worse")
    assert champion_at(family, timezone.now()) == first
    assert champion_at(family, after) == second


def test_a_request_is_void_when_another_model_came_into_force_meanwhile(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    first, second = registered(artefacts[0]), registered(artefacts[1])
    waiting = promotion_request(
        version=second,
        stage=Stage.CHAMPION,
        reason="better",
        requester=people[Role.MODEL_OWNER],
        override=True,
    )
    promoted(first, people)
    with pytest.raises(Conflict, match="target changed"):
        change_request_approve(request_id=waiting.pk, approver=people[Role.RISK_OFFICER])
    second.refresh_from_db()
    assert second.stage == Stage.CANDIDATE


def test_altered_bytes_are_refused_and_the_present_model_stays(
    artefacts: list[EncodedArtefact], people: dict[str, User], home: Path
) -> None:
    first, second = promoted(registered(artefacts[0]), people), registered(artefacts[1])
    request = promotion_request(
        version=second,
        stage=Stage.CHAMPION,
        reason="better",
        requester=people[Role.MODEL_OWNER],
        override=True,
    )
    file = home / "models" / second.digest / "arrays.npz"
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ArtefactRefused):
        change_request_approve(request_id=request.pk, approver=people[Role.RISK_OFFICER])
    first.refresh_from_db()
    assert first.stage == Stage.CHAMPION
    with pytest.raises(ArtefactRefused):
        artefact_verify(second.digest)


def test_a_host_without_the_folder_gets_it_from_the_database(
    artefacts: list[EncodedArtefact], settings: Any, tmp_path: Path
) -> None:
    version = registered(artefacts[0])
    settings.NAUTILUS_HOME = tmp_path / "another host"
    assert artefact_place(version.digest).is_dir()
    with pytest.raises(ArtefactRefused, match="registered"):
        artefact_place("f" * 64)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mlregistry_modelartefact SET document = '\\x00'",
        "UPDATE mlregistry_stagechange SET to_stage = 'champion'",
        "DELETE FROM mlregistry_stagechange",
    ],
)
def test_the_database_itself_refuses_to_change_history(
    artefacts: list[EncodedArtefact], statement: str
) -> None:
    registered(artefacts[0])
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_a_move_outside_the_table_is_refused(
    artefacts: list[EncodedArtefact], people: dict[str, User]
) -> None:
    version = promoted(registered(artefacts[0]), people)
    with pytest.raises(IllegalTransition):
        version_move(version_id=version.pk, stage=Stage.CANDIDATE, actor="mo", reason="again")


def test_owners_note_what_they_know_and_what_stood_there_stays_in_the_trail(
    artefacts: list[EncodedArtefact], token_client: Any, make_user: Any
) -> None:
    version = registered(artefacts[0])
    owner, viewer = (token_client(make_user(role)) for role in (Role.MODEL_OWNER, Role.VIEWER))
    path = f"/api/v1/models/{version.pk}"
    assert viewer.patch(path, {"notes": "mine"}, format="json").status_code == 403
    for text in (" few turbulent weeks ", "seen again"):
        assert owner.patch(path, {"notes": text}, format="json").json()["notes"] == text.strip()
    assert owner.patch(path, {"notes": "x" * 4001}, format="json").status_code == 400
    assert viewer.get(path).json()["notes"] == "seen again"
    entries = AuditEntry.objects.filter(action="model.noted").order_by("pk")
    assert [(entry.before, entry.after) for entry in entries] == [
        ("", "few turbulent weeks"),
        ("few turbulent weeks", "seen again"),
    ]
    version.refresh_from_db()
    assert version.digest == artefacts[0].digest
