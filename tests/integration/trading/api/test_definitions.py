"""Strategies defined, redefined, given symbols and capital over the API."""

from __future__ import annotations

from typing import Any

import pytest

from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve
from tests.integration.trading.api.world import World
from trading.models import Strategy, StrategyInstance

pytestmark = pytest.mark.django_db

CROSSING = {
    "name": "crossing",
    "kind": "moving_average",
    "interval": "1h",
    "parameters": {"fast": 5, "slow": 20},
    "instances": [{"account": "paper-spot", "symbol": "btc/usdt"}],
    "reason": "hourly crossing",
}


@pytest.fixture
def client(world: World, trader: Any, token_client: Any) -> Any:
    return token_client(trader)


def _post(client: Any, path: str, body: Any) -> Any:
    return client.post(f"/api/v1/strategy/{path}", body, format="json")


def test_a_new_strategy_is_switched_off_and_has_no_capital(client: Any) -> None:
    answer = _post(client, "", CROSSING)
    assert (answer.status_code, answer["Location"]) == (201, "/api/v1/strategy/crossing")
    body = answer.json()
    assert (body["enabled"], body["parameters"], body["interval"]) == (False, {"fast": 5, "slow": 20}, "1h")
    (instance,) = body["instances"]
    assert (instance["symbol"], instance["allocation"]) == ("BTCUSDT", "0")
    assert client.get("/api/v1/strategy/crossing").json() == body
    assert AuditEntry.objects.get(action="strategy.defined").reason == "hourly crossing"


def test_parameters_with_a_fraction_are_numbers(client: Any) -> None:
    """JSON's 0.25 is read as a Decimal, exactly; a parameter is a float."""
    asked = {
        **CROSSING,
        "kind": "listing_sniper",
        "parameters": {"spread": 0.25, "chase": 1.0, "enabled": True},
    }
    answer = _post(client, "", asked)
    assert answer.status_code == 201, answer.json()
    assert answer.json()["parameters"] == {"spread": 0.25, "chase": 1.0, "enabled": True}
    assert Strategy.objects.get(name="crossing").parameters["spread"] == 0.25
    changed = client.patch(
        "/api/v1/strategy/crossing", {"parameters": {"spread": 0.125}, "reason": "narrower"}, format="json"
    )
    assert changed.json()["parameters"] == {"spread": 0.125}


def test_capital_for_listings_takes_two_people_and_is_taken_back_by_one(client: Any, make_user: Any) -> None:
    _post(client, "", {**CROSSING, "kind": "listing_sniper", "parameters": {}})
    body = {"account": "paper-spot", "allocation": "500", "per_day": 2, "reason": "small and capped"}
    answer = _post(client, "crossing/listings", body)
    assert answer.status_code == 202, answer.json()
    assert client.get("/api/v1/strategy/crossing").json()["listing_grants"] == []
    change_request_approve(request_id=answer.json()["id"], approver=make_user("risk_officer"))
    granted = {"account": "paper-spot", "quote_asset": "USDT", "allocation": "500", "per_day": 2}
    assert client.get("/api/v1/strategy/crossing").json()["listing_grants"] == [granted]
    answer = _post(client, "crossing/listings", {**body, "allocation": "0", "per_day": 0})
    assert answer.status_code == 200, answer.json()
    assert answer.json()["listing_grants"][0]["per_day"] == 0
    other = {**CROSSING, "name": "averages"}
    _post(client, "", other)
    refused = _post(client, "averages/listings", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_VALUE")


@pytest.mark.parametrize(
    ("change", "status", "code", "names"),
    [
        ({"name": "trend"}, 409, "STRATEGY_EXISTS", "trend"),
        ({"name": "signal"}, 400, "INVALID_VALUE", "reserved"),
        ({"name": "Über alles"}, 400, None, None),
        ({"kind": "no_such"}, 400, "INVALID_VALUE", "kind"),
        ({"interval": "7m"}, 400, None, None),
        ({"parameters": {"fats": 5}}, 400, "INVALID_VALUE", "parameters.fats"),
        ({"parameters": {"fast": 0}}, 400, "INVALID_VALUE", "parameters.fast"),
        ({"parameters": {"fast": 50, "slow": 20}}, 400, "INVALID_VALUE", "parameters"),
        ({"model_family": "hmm-btcusdt"}, 400, "INVALID_VALUE", "model_family"),
        ({"kind": "hmm_policy", "parameters": {}, "model_family": "nobody"}, 404, "UNKNOWN_MODEL", "nobody"),
        ({"instances": [{"account": "nobody", "symbol": "BTCUSDT"}]}, 404, "UNKNOWN_ACCOUNT", "nobody"),
        ({"instances": [{"account": "paper-spot", "symbol": "NOPEUSDT"}]}, 404, "UNKNOWN_SYMBOL", "NOPE"),
        ({"reason": ""}, 400, None, None),
        ({"enabled": True}, 400, "UNKNOWN_FIELD", "enabled"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_created(
    client: Any, change: dict[str, Any], status: int, code: str | None, names: str | None
) -> None:
    answer = _post(client, "", {**CROSSING, **change})
    assert answer.status_code == status, answer.json()
    if code is not None:
        assert answer.json()["code"] == code
        assert names is not None
        assert names in answer.json()["detail"]
    assert set(Strategy.objects.values_list("name", flat=True)) == {"trend"}
    assert StrategyInstance.objects.count() == 1


def test_a_strategy_that_is_switched_off_is_changed_at_once(client: Any) -> None:
    _post(client, "", CROSSING)
    body = {"parameters": {"fast": 8}, "reason": "slower"}
    answer = client.patch("/api/v1/strategy/crossing", body, format="json")
    # Parameters are replaced as a whole: the slow one is back at its default.
    assert (answer.status_code, answer.json()["parameters"]) == (200, {"fast": 8})
    again = client.patch("/api/v1/strategy/crossing", body, format="json")
    assert (again.status_code, again.json()["code"]) == (400, "NOTHING_TO_CHANGE")


def test_an_enabled_one_is_changed_by_two_people(client: Any, make_user: Any) -> None:
    _post(client, "", CROSSING)
    Strategy.objects.update(is_enabled=True)
    answer = client.patch(
        "/api/v1/strategy/crossing",
        {"parameters": {"fast": 8, "slow": 20}, "reason": "slower"},
        format="json",
    )
    assert (answer.status_code, answer.json()["diff"]) == (202, {"parameters.fast": [5, 8]})
    assert Strategy.objects.get(name="crossing").parameters["fast"] == 5
    change_request_approve(request_id=answer.json()["id"], approver=make_user("risk_officer"))
    assert Strategy.objects.get(name="crossing").parameters == {"fast": 8, "slow": 20}


def test_approving_the_enabling_of_something_else_than_was_asked_for_is_void(
    client: Any, make_user: Any
) -> None:
    _post(client, "", CROSSING)
    asked = _post(client, "crossing/enable", {"reason": "tested for a month"})
    client.patch("/api/v1/strategy/crossing", {"interval": "4h", "reason": "slower"}, format="json")
    with pytest.raises(Exception, match="changed"):
        change_request_approve(request_id=asked.json()["id"], approver=make_user("risk_officer"))
    assert not Strategy.objects.get(name="crossing").is_enabled
    assert ChangeRequest.objects.get().state == ChangeRequest.State.VOID


def test_one_more_symbol_comes_without_capital_and_only_once(client: Any) -> None:
    body = {"account": "paper-spot", "symbol": "ETHUSDT", "reason": "same rules"}
    first, second = _post(client, "trend/instances", body), _post(client, "trend/instances", body)
    assert (first.status_code, second.status_code) == (201, 409)
    assert StrategyInstance.objects.get(instrument__symbol="ETHUSDT").allocation == 0


def test_capital_goes_down_at_once_and_up_by_two_people(client: Any, make_user: Any) -> None:
    StrategyInstance.objects.update(allocation=1_000, weight=1)
    place = {"account": "paper-spot", "symbol": "BTCUSDT", "reason": "r"}
    lower = _post(client, "trend/grant", {**place, "allocation": "400"})
    assert (lower.status_code, lower.json()["instances"][0]["allocation"]) == (200, "400")
    higher = _post(client, "trend/grant", {**place, "allocation": "900"})
    assert (higher.status_code, higher.json()["diff"]["allocation"]) == (202, ["400", "900"])
    assert StrategyInstance.objects.get().allocation == 400
    change_request_approve(request_id=higher.json()["id"], approver=make_user("risk_officer"))
    assert StrategyInstance.objects.get().allocation == 900
    unknown = _post(client, "trend/grant", {**place, "symbol": "ETHUSDT", "allocation": "1"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "UNKNOWN_INSTANCE")


def test_one_symbol_is_switched_off_at_once_and_on_by_two_people(client: Any, make_user: Any) -> None:
    place = {"account": "paper-spot", "symbol": "BTCUSDT", "reason": "thin book"}
    assert _post(client, "trend/disable", place).json()["instances"][0]["enabled"] is False
    assert Strategy.objects.get(name="trend").is_enabled
    asked = _post(client, "trend/enable", place)
    assert (asked.status_code, asked.json()["kind"]) == (202, "strategy.instance_enable")
    assert not StrategyInstance.objects.get().is_enabled
    change_request_approve(request_id=asked.json()["id"], approver=make_user("risk_officer"))
    assert StrategyInstance.objects.get().is_enabled
    half = _post(client, "trend/disable", {"symbol": "BTCUSDT", "reason": "r"})
    assert (half.status_code, half.json()["code"]) == (400, "INVALID_VALUE")


@pytest.mark.parametrize(
    ("role", "defines", "lowers", "raises"),
    [
        ("viewer", 403, 403, 403),
        ("risk_officer", 403, 200, 202),
        ("model_owner", 201, 403, 403),
        ("admin", 403, 200, 403),
    ],
)
def test_roles(
    world: World, make_user: Any, token_client: Any, role: str, defines: int, lowers: int, raises: int
) -> None:
    StrategyInstance.objects.update(allocation=1_000)
    client = token_client(make_user(role))
    place = {"account": "paper-spot", "symbol": "BTCUSDT", "reason": "r"}
    assert _post(client, "", CROSSING).status_code == defines
    assert _post(client, "trend/grant", {**place, "allocation": "400"}).status_code == lowers
    assert _post(client, "trend/grant", {**place, "allocation": "4000"}).status_code == raises
