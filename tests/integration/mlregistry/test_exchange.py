"""Models out of the registry and in again, what may be forgotten, and two versions side by side."""

from __future__ import annotations

import io
import json
import zipfile
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
from mlregistry.models import ModelArtefact, ModelVersion
from mlregistry.selectors.artefacts import artefact_loaded
from mlregistry.selectors.comparison import comparison
from mlregistry.services.artefacts import artefact_verify
from mlregistry.services.exchange import version_export, version_import
from mlregistry.services.register import version_register
from mlregistry.services.retention import artefacts_prune
from mlregistry.services.stages import promotion_request, rollback, version_move
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.models import trained_artefact
from trading.domain.regime.artefact import EncodedArtefact
from trading.domain.regime.errors import ArtefactRefused

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def artefacts() -> list[EncodedArtefact]:
    return [trained_artefact(seed) for seed in range(3)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.NAUTILUS_HOME = tmp_path
    artefact_loaded.cache_clear()
    return tmp_path


@pytest.fixture
def people() -> tuple[User, User]:
    return tuple(  # type: ignore[return-value]
        User.objects.create_user(username=role, password="x" * 20, role=role)
        for role in (Role.MODEL_OWNER, Role.RISK_OFFICER)
    )


def registered(encoded: EncodedArtefact) -> ModelVersion:
    return version_register(encoded=encoded, metrics={"bic": 1.5}, actor="test")


def champion(version: ModelVersion, people: tuple[User, User]) -> ModelVersion:
    asked = promotion_request(
        version=version, stage=Stage.CHAMPION, reason="x", requester=people[0], override=True
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    version.refresh_from_db()
    return version


def forget_everything() -> None:
    """Another registry: nothing of this one is there."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "TRUNCATE mlregistry_stagechange, mlregistry_modelversion, mlregistry_modelartefact, "
            "mlregistry_dataset CASCADE"
        )


def test_a_model_comes_into_another_registry_as_a_candidate_with_the_same_digest(
    artefacts: list[EncodedArtefact], home: Path, people: tuple[User, User]
) -> None:
    version = champion(registered(artefacts[0]), people)
    path = version_export(version=version, path=home / "model.zip", actor="test")
    digest = version.digest
    forget_everything()
    came = version_import(path=path, actor=people[0], reason="trained elsewhere")
    assert (came.digest, came.stage, came.metrics) == (digest, Stage.CANDIDATE, {"bic": 1.5})
    assert "champion there" in came.notes
    assert artefact_verify(digest).lineage["bars"] == 600
    again = version_import(path=path, actor=people[0], reason="twice")
    assert again.pk == came.pk


def rewritten(path: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def test_a_file_that_was_tampered_with_or_is_something_else_is_refused(
    artefacts: list[EncodedArtefact], home: Path
) -> None:
    path = version_export(version=registered(artefacts[0]), path=home / "model.zip", actor="test")
    forget_everything()

    def flip(parts: dict[str, bytes]) -> None:
        content = bytearray(parts["arrays.npz"])
        content[-40] ^= 1
        parts["arrays.npz"] = bytes(content)

    with pytest.raises(ArtefactRefused):
        version_import(path=rewritten(path, home / "a.zip", flip), actor="x", reason="x")
    for name, change, says in (
        ("b", lambda parts: parts.update({"../evil": b"x"}), "nothing else"),
        ("c", lambda parts: parts.update({"model.json": parts["model.json"] + b" "}), "says that it is"),
        ("d", lambda parts: parts.update({"version.json": b"[]"}), "cannot be read"),
        ("e", lambda parts: parts.pop("version.json"), "nothing else"),
    ):
        with pytest.raises(ApplicationError, match=says):
            version_import(path=rewritten(path, home / f"{name}.zip", change), actor="x", reason="x")
    (home / "text.zip").write_text("no zip")
    with zipfile.ZipFile(home / "damaged.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("arrays.npz", "model.json", "version.json"):
            archive.writestr(name, b"abcdefgh" * 500)
    damaged = bytearray((home / "damaged.zip").read_bytes())
    damaged[40:44] = b"\xff" * 4  # the first bytes of the first stream: 30 of a header, 10 of its name
    (home / "damaged.zip").write_bytes(damaged)
    for wrong in (home / "text.zip", home / "none.zip", home / "damaged.zip"):
        with pytest.raises(ApplicationError) as refused:
            version_import(path=wrong, actor="x", reason="x")
        assert refused.value.code == "NO_MODEL_FILE"
    assert not ModelVersion.objects.exists()
    with pytest.raises(ApplicationError, match="exists already"):
        version_export(version=registered(artefacts[0]), path=path, actor="test")


def old(*versions: ModelVersion) -> None:
    ModelVersion.objects.filter(pk__in=[one.pk for one in versions]).update(
        created_at=timezone.now() - timedelta(days=100)
    )


def test_what_served_is_kept_whoever_asks_and_what_did_not_may_go(
    artefacts: list[EncodedArtefact],
    home: Path,
    people: tuple[User, User],
    django_capture_on_commit_callbacks: Any,
) -> None:
    served = champion(registered(artefacts[0]), people)
    idle = registered(artefacts[1])
    present = champion(registered(artefacts[2]), people)
    old(served, idle, present)
    assert [one.version for one in artefacts_prune(older_than_days=90, keep=0, actor="t", dry_run=True)] == [
        str(idle)
    ]
    assert artefacts_prune(older_than_days=101, keep=0, actor="t") == []
    assert artefacts_prune(older_than_days=90, keep=3, actor="t") == []
    with django_capture_on_commit_callbacks(execute=True):
        (gone,) = artefacts_prune(older_than_days=90, keep=0, actor="t")
    assert gone.size > 1000
    assert not (home / "models" / idle.digest).exists()
    with pytest.raises(ArtefactRefused, match="were pruned on"):
        artefact_verify(idle.digest)
    with pytest.raises(ArtefactRefused):
        champion(idle, people)
    for digest in (served.digest, present.digest):
        with pytest.raises(IntegrityError, match="served"), transaction.atomic():
            ModelArtefact.objects.filter(pk=digest).update(document=b"", arrays=b"", pruned_at=timezone.now())
        rows = ModelArtefact.objects.filter(pk=digest)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows._raw_delete(rows.db)
    assert rollback(family=served.family, actor=people[1], reason="back") == served


def test_bytes_that_were_let_go_come_back_only_as_they_were(artefacts: list[EncodedArtefact]) -> None:
    version = registered(artefacts[0])
    old(version)
    artefacts_prune(older_than_days=90, keep=0, actor="t")
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelArtefact.objects.update(document=b"other", arrays=b"other", pruned_at=None)
    assert registered(artefacts[0]).pk == version.pk
    assert artefact_verify(version.digest) is not None


def test_two_versions_differ_in_what_is_said_and_their_states_are_matched(
    artefacts: list[EncodedArtefact],
) -> None:
    one, other = registered(artefacts[0]), registered(artefacts[1])
    told = comparison(one, other)
    assert (told["recipe"], told["same_data"]) == ({}, False)
    assert [(pair["state"], pair["other_state"]) for pair in told["states"]] == [
        ("calm", "calm"),
        ("turbulent", "turbulent"),
    ]
    itself = comparison(one, one)
    assert [pair["nats"] for pair in itself["states"]] == [0.0, 0.0]
    assert itself["same_data"]


def test_the_commands_move_compare_and_prune(
    artefacts: list[EncodedArtefact], home: Path, people: tuple[User, User]
) -> None:
    one, other = registered(artefacts[0]), registered(artefacts[1])
    name, person = one.family.name, ["--requester", people[0].username]

    def told(*words: str) -> str:
        out = io.StringIO()
        call_command("models", *words, stdout=out)
        return out.getvalue()

    assert "0.000 nats, the same regime" in told("compare", f"{name}@1", f"{name}@1")
    assert json.loads(told("compare", f"{name}@1", f"{name}@2", "--json"))["same_data"] is False
    file = str(home / "m.zip")
    told("export", f"{name}@2", file, *person)
    assert "is a candidate" in told("import", file, *person, "--reason", "back")
    version_move(version_id=other.pk, stage=Stage.RETIRED, actor="t", reason="old")
    old(one, other)
    assert "would go" in told("prune", "--keep", "0", "--dry-run")
    assert len(json.loads(told("prune", "--keep", "0", "--json"))) == 2
    assert "nothing to let go" in told("prune", "--keep", "0")
    assert told("verify") == ""


def test_comparison_and_a_pruned_version_over_the_api(
    artefacts: list[EncodedArtefact], token_client: Callable[..., APIClient], make_user: Any
) -> None:
    one, other = registered(artefacts[0]), registered(artefacts[1])
    viewer = token_client(make_user(Role.VIEWER))
    answer = viewer.get("/api/v1/models/compare", {"one": one.pk, "other": other.pk})
    assert (answer.status_code, len(answer.json()["states"])) == (200, 2)
    assert viewer.get("/api/v1/models/compare", {"one": one.pk}).status_code == 400
    assert viewer.get("/api/v1/models/compare", {"one": one.pk, "other": 10**9}).status_code == 404
    assert viewer.get(f"/api/v1/models/{one.pk}/posterior").json()["code"] == "NO_BARS"
    assert viewer.get(f"/api/v1/models/{one.pk}/posterior", {"bars": "0"}).status_code == 400
    old(one)
    artefacts_prune(older_than_days=90, keep=0, actor="t")
    detail = viewer.get(f"/api/v1/models/{one.pk}").json()
    assert (detail["portrait"], detail["pruned_at"] is not None) == (None, True)


def test_the_lineage_of_a_version_has_its_bars_its_champions_and_what_was_trained_beside_it(
    artefacts: list[EncodedArtefact], people: tuple[User, User], token_client: Callable[..., APIClient]
) -> None:
    first = champion(registered(artefacts[0]), people)
    second = registered(artefacts[1])
    third = registered(artefacts[2])
    assert (second.parent, third.parent) == (first, first)
    graph = token_client(people[0]).get(f"/api/v1/models/{first.pk}").json()["graph"]
    versions = [one for one in graph["nodes"] if one["kind"] == "version"]
    assert [(one["version"], one["stage"], one["this"]) for one in versions] == [
        (1, "champion", True),
        (2, "candidate", False),
        (3, "candidate", False),
    ]
    assert [f"version:{first.pk}", f"version:{third.pk}"] in graph["edges"]
    assert sum(edge[0].startswith("data:") for edge in graph["edges"]) == 3
    # Its sister is neither what it came from nor what it led to.
    graph = token_client(people[0]).get(f"/api/v1/models/{second.pk}").json()["graph"]
    assert [one["version"] for one in graph["nodes"] if one["kind"] == "version"] == [1, 2]
