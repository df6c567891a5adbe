"""Whose a model is: they stop it at once, and never decide that it trades, whatever their role is by now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from governance.selectors.inbox import request_members
from governance.selectors.shell import haltable_scopes
from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion, TrainingRun
from mlregistry.services.envelopes import envelope_request
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request
from nautilus_site.common.errors import ApplicationError, Forbidden
from nautilus_site.common.models import AuditEntry, Role, User
from nautilus_site.common.services.change_requests import change_request_approve, change_request_reject
from tests.factories.models import trained_artefact
from tests.factories.trading import Desk, trading_desk
from trading.domain.values import Level
from trading.models import Strategy, TradingState
from trading.services.controls import kill_raise, resume_request


@pytest.fixture
def desk(db: None) -> Desk:
    return trading_desk()


@pytest.fixture
def version(desk: Desk, model_owner: User) -> ModelVersion:
    """A model that its owner registered and `trend` trades with."""
    made = version_register(encoded=trained_artefact(0), metrics={}, actor=model_owner)
    Strategy.objects.filter(name="trend").update(model_family=made.family.name, model_version=made.number)
    return made


@pytest.fixture
def trained(desk: Desk, model_owner: User) -> ModelVersion:
    """A model that its owner had trained; the worker registered it, and nobody follows it yet."""
    made = version_register(encoded=trained_artefact(1), metrics={}, actor="training")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    run = TrainingRun.objects.create(
        family=made.family, asked={}, state="done", requested_by=model_owner, created_at=moment
    )
    ModelVersion.objects.filter(pk=made.pk).update(run=run)
    return ModelVersion.objects.get(pk=made.pk)


def scope_of(version: ModelVersion) -> str:
    return f"model:{version.family.name}@{version.number}"


@pytest.mark.parametrize("whose", ["version", "trained"])
def test_a_model_owner_stops_a_model_they_registered_or_had_trained(
    whose: str, request: pytest.FixtureRequest, model_owner: User
) -> None:
    mine: ModelVersion = request.getfixturevalue(whose)
    kill_raise(scope=scope_of(mine), level=Level.CANCEL, reason="it raves", actor=model_owner)
    assert TradingState.objects.get(scope=scope_of(mine)).level == Level.CANCEL


@pytest.mark.parametrize(
    "scope", ["global", "strategy:trend", "symbol:BTCUSDT", "account:desk", "strategy_symbol:trend:BTCUSDT"]
)
def test_a_model_owner_stops_nothing_wider_than_a_model_of_theirs(
    version: ModelVersion, model_owner: User, trader: User, scope: str, token_client: Any
) -> None:
    before = list(TradingState.objects.values_list("scope", "level", "version"))
    with pytest.raises(Forbidden) as refused:
        kill_raise(scope=scope, level=Level.CANCEL, reason="not mine", actor=model_owner)
    assert refused.value.code == "OWN_MODEL_ONLY"
    answer = token_client(model_owner).post(
        "/api/v1/kill?timeout=0.05", {"scope": scope, "reason": "not mine"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "OWN_MODEL_ONLY")
    assert list(TradingState.objects.values_list("scope", "level", "version")) == before
    assert not AuditEntry.objects.filter(action="kill.raised", target=scope, actor=model_owner).exists()
    kill_raise(scope=scope, level=Level.CANCEL, reason="a trader may", actor=trader)


def test_the_model_of_another_owner_is_not_theirs_to_stop(
    version: ModelVersion, make_user: Any, model_owner: User, token_client: Any
) -> None:
    scope = scope_of(version)
    other = make_user("model_owner", username="another")
    answer = token_client(other).post(
        "/api/v1/kill?timeout=0.05", {"scope": scope, "reason": "r"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "OWN_MODEL_ONLY")
    mine = token_client(model_owner).post(
        "/api/v1/kill?timeout=0.05", {"scope": scope, "reason": "r"}, format="json"
    )
    assert (mine.status_code, mine.json()["scope"]) == (200, scope)


def test_a_token_that_may_stop_own_models_stops_nothing_else_for_a_trader_either(
    version: ModelVersion, trader: User, token_client: Any
) -> None:
    narrow = token_client(trader, scopes=["kill.raise:own_model"])
    answer = narrow.post("/api/v1/kill?timeout=0.05", {"scope": "global", "reason": "r"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "OWN_MODEL_ONLY")


def test_viewers_stop_nothing_even_past_the_views(version: ModelVersion, make_user: Any) -> None:
    with pytest.raises(Forbidden) as refused:
        kill_raise(scope=scope_of(version), level=Level.CANCEL, reason="r", actor=make_user("viewer"))
    assert refused.value.code == "PERMISSION_DENIED"


def test_the_admins_form_stops_an_own_model_and_refuses_the_rest(
    version: ModelVersion, model_owner: User, trader: User, browser: Callable[[User], Client]
) -> None:
    for scope in (scope_of(version), "symbol:BTCUSDT"):
        kill_raise(scope=scope, level=Level.REDUCING, reason="to have a row", actor=trader)
        row = TradingState.objects.get(scope=scope)
        answer = browser(model_owner).post(
            f"/admin/trading/tradingstate/{row.pk}/change/",
            {"level": int(Level.CANCEL), "reason": "it raves"},
            follow=True,
        )
        assert answer.status_code == 200
        row.refresh_from_db()
        mine = scope == scope_of(version)
        assert row.level == (Level.CANCEL if mine else Level.REDUCING), scope
        assert (b"ask a trader, a risk officer or an admin" in answer.content) != mine


def test_the_halt_button_offers_what_its_person_may_halt(
    version: ModelVersion, model_owner: User, trader: User, make_user: Any, browser: Callable[[User], Client]
) -> None:
    assert haltable_scopes(model_owner) == [scope_of(version)]
    other = make_user("model_owner", username="another")
    assert haltable_scopes(other) == haltable_scopes(make_user("viewer")) == []
    everything = haltable_scopes(trader)
    assert everything[0] == "global"
    assert {"strategy:trend", scope_of(version)} <= set(everything)
    page = browser(model_owner).get("/risk/").content.decode()
    assert "HALT own model" in page
    assert f'<option value="{scope_of(version)}">' in page
    assert '<option value="global">' not in page
    assert "there is nothing of yours to halt" in browser(other).get("/risk/").content.decode()


@pytest.fixture
def turned(model_owner: User, make_user: Any) -> tuple[User, User]:
    """The owner, a risk officer by now, and the owner who took the family over."""
    return model_owner, make_user("model_owner", username="successor")


@pytest.mark.parametrize("whose", ["version", "trained"])
def test_the_owner_of_a_model_does_not_decide_its_promotion_and_another_does(
    whose: str,
    request: pytest.FixtureRequest,
    turned: tuple[User, User],
    risk_officer: User,
) -> None:
    mine: ModelVersion = request.getfixturevalue(whose)
    owner, successor = turned
    User.objects.filter(pk=owner.pk).update(role=Role.RISK_OFFICER)
    owner.refresh_from_db()
    until = datetime.now(UTC) + timedelta(days=9)
    wanted = {"until": until.isoformat(), "champion": True, "canary": False, "most_capital": 100}
    for asked in (
        promotion_request(
            version=mine, stage=Stage.CHAMPION, reason="ready", requester=successor, override=True
        ),
        envelope_request(family=mine.family, envelope=wanted, reason="by itself", requester=successor),
    ):
        for decide in (change_request_approve, change_request_reject):
            with pytest.raises(Forbidden, match="had it trained or registered it") as refused:
                decide(request_id=asked.pk, approver=owner)
            assert refused.value.code == "OWN_OBJECT"
        assert not request_members(asked, owner)["may_decide"]
        assert request_members(asked, risk_officer)["deciders"] == "risk"
        assert change_request_approve(request_id=asked.pk, approver=risk_officer).state == "applied"


def test_the_owner_of_a_model_neither_asks_for_its_resume_nor_grants_it(
    version: ModelVersion, desk: Desk, model_owner: User, risk_officer: User, second_risk_officer: User
) -> None:
    scope = scope_of(version)
    kill_raise(scope=scope, level=Level.HALT_NEW, reason="it raves", actor=model_owner)
    User.objects.filter(pk=model_owner.pk).update(role=Role.RISK_OFFICER)
    model_owner.refresh_from_db()
    with pytest.raises(ApplicationError) as refused:
        resume_request(scope=scope, to_level=Level.ACTIVE, reason="it is well", requester=model_owner)
    assert refused.value.code == "OWNER_MAY_NOT_RESUME"
    asked = resume_request(scope=scope, to_level=Level.ACTIVE, reason="it is well", requester=risk_officer)
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=asked.pk, approver=model_owner)
    assert refused.value.code == "OWNER_MAY_NOT_RESUME"
    assert change_request_approve(request_id=asked.pk, approver=second_risk_officer).state == "applied"
