"""The registry in the admin: every page shows, nothing is changed there, actions are the services everybody calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlregistry.domain.stages import Stage
from mlregistry.models import (
    Canary,
    CanaryObservation,
    DriftReport,
    GateVerdict,
    ModelVersion,
    ShadowDecision,
    ShadowTrack,
    TrainingRun,
    TruthReport,
)
from mlregistry.services.training import study_request, training_request
from nautilus_site.common.models import AuditEntry, ChangeRequest, Role, User
from tests.factories.canaries import instance

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
MODELS = sorted(apps.get_app_config("mlregistry").get_models(), key=lambda model: model.__name__)
ASKED = {"model": "hmm", "symbol": "BTCUSDT", "market": "spot", "interval": "1h", "states": 2, "seed": 1}


@pytest.fixture
def everything(canary: Canary) -> dict[str, Any]:
    """One row of every model."""
    version, moment = canary.version, timezone.now()
    CanaryObservation.objects.create(
        canary=canary, number=1, from_at=moment, to_at=moment, canary_return=0.01, champion_return=0.02
    )
    study_request(models=[ASKED], states=[2], seeds=[1], requester="test")
    GateVerdict.objects.create(version=version, asked={"folds": 5}, created_at=moment)
    ShadowTrack.objects.create(version=version, instance=instance("trend"), error="no such file")
    ShadowDecision.objects.create(
        version=version, instance=instance("trend"), bar_open_at=moment, price=1, target=0.5, confidence=1,
        reason="REGIME_LONG", decided_at=moment,
    )  # fmt: skip
    DriftReport.objects.create(
        version=version, day=date(2026, 1, 1), bars=1, window=1, score_reference=0, cusum=0, cusum_peak=0,
        threshold=1, last_bar_at=moment, measured_at=moment,
    )  # fmt: skip
    TruthReport.objects.create(
        version=version, day=date(2026, 1, 1), rows=1, accuracy=0.9, always=0.4, probability=0.8, matched={},
        recall={}, confusion={}, from_at=moment, to_at=moment, measured_at=moment,
    )  # fmt: skip
    return {model.__name__: model.objects.order_by("-pk").first() for model in MODELS}


@pytest.fixture
def browser(make_user: Any) -> Callable[[str], Client]:
    def make(role: str) -> Client:
        client = Client()
        person = make_user(role, username=f"{role}-at-the-admin")
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


def url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:mlregistry_{model._meta.model_name}_{page}", args=args)


def test_every_model_of_the_registry_is_there_and_none_can_be_changed() -> None:
    assert reverse("admin:index") == "/admin/", "the URLs find the admin pages"
    assert len(MODELS) == 14
    for model in MODELS:
        options = admin.site._registry[model]
        assert not hasattr(options, "governed_fields"), model


def test_lists_searches_and_rows_are_shown_and_posts_change_nothing(
    everything: dict[str, Any], browser: Callable[[str], Client], django_assert_max_num_queries: Any
) -> None:
    client = browser(Role.RISK_OFFICER)
    for model in MODELS:
        row = everything[model.__name__]
        assert row is not None, model
        with django_assert_max_num_queries(20):
            shown = client.get(url(model, "changelist"))
        assert shown.status_code == 200, model
        assert client.get(url(model, "changelist"), {"q": "btc"}).status_code == 200, model
        assert client.get(url(model, "change", row.pk)).status_code == 200, model
        before = model.objects.filter(pk=row.pk).values().get()
        for page, args in (("change", (row.pk,)), ("delete", (row.pk,)), ("add", ())):
            # unfold takes a post that names a "dataset" for an action on a list inside the form; there is none.
            fields = {field.name: "1" for field in model._meta.fields if field.name != "dataset"} | {
                "post": "yes"
            }
            assert client.post(url(model, page, *args), fields).status_code == 403, (model, page)
        assert model.objects.filter(pk=row.pk).values().get() == before


def act(client: Client, row: Any, action: str, **fields: str) -> Any:
    return client.post(
        url(type(row), "changelist"), {"action": action, "_selected_action": row.pk, **fields}, follow=True
    )


def test_an_action_asks_for_a_reason_and_then_calls_the_service(
    canary: Canary, browser: Callable[[str], Client]
) -> None:
    client = browser(Role.RISK_OFFICER)
    asked = act(client, canary, "rollback_selected")
    assert b"its position is left" in asked.content
    again = act(client, canary, "rollback_selected", confirmed="yes", reason="  ")
    assert b"a reason is required" in again.content
    canary.refresh_from_db()
    assert canary.state == Canary.State.RUNNING
    act(client, canary, "rollback_selected", confirmed="yes", reason="losing since noon")
    canary.refresh_from_db()
    assert (canary.state, canary.reason) == (Canary.State.ENDED, "losing since noon")
    refused = act(client, canary, "rollback_selected", confirmed="yes", reason="again")
    assert b"the canary is ended already" in refused.content


def test_more_time_and_training_are_asked_for_as_everywhere_else(
    canary: Canary, browser: Callable[[str], Client]
) -> None:
    client = browser(Role.MODEL_OWNER)
    act(client, canary, "extend_selected", confirmed="yes", reason="a quiet month")
    request = ChangeRequest.objects.get(kind="model.extend_canary")
    assert request.payload == {"longest_s": canary.rules["longest_s"] + 30 * 86_400}
    run = training_request(asked=ASKED, requester="test")
    act(client, run, "again_selected", confirmed="yes", reason="newer bars")
    act(client, run, "cancel_selected", confirmed="yes", reason="the old ones will do")
    act(client, canary.version.family, "train_selected", confirmed="yes", reason="newer bars")
    assert list(TrainingRun.objects.order_by("pk").values_list("state", flat=True)) == [
        "canceled",
        "queued",
        "queued",
    ]
    act(client, canary.version, "judge_selected", confirmed="yes", reason="monthly")
    assert GateVerdict.objects.get().state == "queued"


def test_retiring_and_rolling_back_move_stages_with_person_and_reason(
    canary: Canary, challenger: ModelVersion, browser: Callable[[str], Client]
) -> None:
    act(browser(Role.MODEL_OWNER), challenger, "retire_selected", confirmed="yes", reason="superseded")
    challenger.refresh_from_db()
    canary.refresh_from_db()
    assert (challenger.stage, canary.state) == (Stage.RETIRED, Canary.State.ENDED)
    entry = AuditEntry.objects.filter(action="model.stage_changed").order_by("-pk")[0]
    assert entry.reason == "superseded"
    told = act(browser(Role.RISK_OFFICER), challenger, "rollback_selected", confirmed="yes", reason="back")
    assert b"no earlier champion" in told.content


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        (Role.TRADER, set()),
        (Role.ADMIN, set()),
        (Role.RISK_OFFICER, {"rollback_selected"}),
        (Role.MODEL_OWNER, {"rollback_selected", "extend_selected"}),
    ],
)
def test_actions_are_offered_and_taken_only_where_the_role_has_the_permission(
    canary: Canary, browser: Callable[[str], Client], role: str, offered: set[str], rf: Any
) -> None:
    request = rf.get("/admin/")
    request.user = User(role=role, is_active=True, username="x")
    assert set(admin.site._registry[Canary].get_actions(request)) == offered
    client = browser(role)
    for name in {"rollback_selected", "extend_selected"} - offered:
        act(client, canary, name, confirmed="yes", reason="because")
    canary.refresh_from_db()
    assert canary.state == Canary.State.RUNNING
    assert not ChangeRequest.objects.filter(kind="model.extend_canary").exists()
    assert canary.started_at < timezone.now() + timedelta(seconds=1)
