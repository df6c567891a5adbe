"""Every member of every mutation, given wrongly: a stable code, and nothing happens."""

from __future__ import annotations

from typing import Any

import pytest

from nautilus_site.common.models import ChangeRequest
from tests.integration.trading.api.requests import LIMIT_ORDER, key, place
from tests.integration.trading.api.world import World
from trading.domain.values import Level
from trading.models import CircuitBreaker, Order, ReconcileRun, RiskLimit, TradingState

pytestmark = pytest.mark.django_db

NOT_TEXT: list[Any] = [None, 5, True, [], {}, "", "   ", ["BTCUSDT"]]
NOT_A_WORD: list[Any] = [*NOT_TEXT, "buy", "SHORT", "BUY "]
NOT_POSITIVE: list[Any] = [
    "0", 0, "-1", -1, "-0.001", "NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1e-40", "9" * 40,
    "0." + "1" * 40, "1e30", "", " ", "abc", "0x10", "1,5", "١", True, [], {}, ["1"],
]  # fmt: skip
NOT_A_FLAG: list[Any] = [None, "true", "yes", 1, 0, "", [], {}]


def _cases(member: str, values: list[Any]) -> list[Any]:
    return [pytest.param(member, value, id=f"{member}={str(value)[:16]}") for value in values]


ORDER_CASES = [
    *_cases("account", [*NOT_TEXT, "a" * 41]),
    *_cases("symbol", [*NOT_TEXT, "B" * 41]),
    *_cases("side", NOT_A_WORD),
    *_cases("type", [*NOT_TEXT, "limit", "STOP_LOSS", "TRAILING"]),
    *_cases("quantity", [*NOT_POSITIVE, None]),
    *_cases("price", [*NOT_POSITIVE, None]),
    *_cases("quote_quantity", [*NOT_POSITIVE, "100"]),
    *_cases("time_in_force", ["", "gtc", "DAY", 5, [], {}, True]),
    *_cases("reduce_only", NOT_A_FLAG),
    *_cases("dry_run", NOT_A_FLAG),
    *_cases("strategy", ["", "   ", 5, [], {}, True, "s" * 41]),
    *_cases("stop_price", NOT_POSITIVE),
    *_cases("take_profit", ["0", {}]),
    *_cases("stop_loss", ["-1", []]),
    *_cases("reduceonly", [True]),
]


@pytest.mark.parametrize(("member", "value"), ORDER_CASES)
def test_a_wrong_member_of_an_order_is_a_400_and_places_nothing(
    world: World, trader: Any, token_client: Any, member: str, value: Any
) -> None:
    answer = place(token_client(trader), **{member: value})
    body = answer.json()
    assert answer.status_code == 400, body
    assert answer["Content-Type"] == "application/problem+json"
    assert body["code"] in {"VALIDATION", "UNKNOWN_FIELD", "UNSUPPORTED_FIELD"}
    assert not Order.objects.exists()


@pytest.mark.parametrize("member", ["account", "symbol", "side", "type", "quantity", "price"])
def test_a_missing_member_of_a_limit_order_is_a_400(
    world: World, trader: Any, token_client: Any, member: str
) -> None:
    body = {name: value for name, value in LIMIT_ORDER.items() if name != member}
    answer = token_client(trader).post("/api/v1/orders", body, format="json", **key())
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "MARKET"},  # with a price
        {"type": "MARKET", "price": None, "time_in_force": "GTC"},
        {"type": "LIMIT_MAKER", "time_in_force": "GTC"},
        {"type": "LIMIT_MAKER", "price": None},
        {"quantity": None, "quote_quantity": None},
        {"quote_quantity": "100"},
    ],
)
def test_members_that_contradict_each_other_are_a_400(
    world: World, trader: Any, token_client: Any, changes: dict[str, Any]
) -> None:
    answer = place(token_client(trader), **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION")
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPEUSDT"}, "UNKNOWN_SYMBOL"),
        ({"symbol": "BTC USDT"}, "UNKNOWN_SYMBOL"),
        ({"symbol": "BTCUSDT.P"}, "UNKNOWN_SYMBOL"),  # a perpetual, on a spot account
        ({"account": "nobody"}, "UNKNOWN_ACCOUNT"),
        ({"strategy": "nothing"}, "UNKNOWN_STRATEGY"),
    ],
)
def test_what_nobody_knows_is_a_404_with_its_own_code(
    world: World, trader: Any, token_client: Any, changes: dict[str, Any], code: str
) -> None:
    answer = place(token_client(trader), **changes)
    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "VALIDATION"),
        (b"{", "application/json", 400, "MALFORMED_JSON"),
        (b"[]", "application/json", 400, "MALFORMED_JSON"),
        (b'"order"', "application/json", 400, "MALFORMED_JSON"),
        (b'{"side": "BUY", "side": "SELL"}', "application/json", 400, "MALFORMED_JSON"),
        (b'{"quantity": NaN}', "application/json", 400, "MALFORMED_JSON"),
        (b"\xff\xfe", "application/json", 400, "MALFORMED_JSON"),
        (b"side=BUY", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
@pytest.mark.parametrize("path", ["orders", "kill"])
def test_a_body_that_is_no_json_object_is_refused(
    world: World,
    trader: Any,
    token_client: Any,
    path: str,
    body: bytes,
    content_type: str,
    status: int,
    code: str,
) -> None:
    answer = token_client(trader).generic("POST", f"/api/v1/{path}", body, content_type, **key())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert TradingState.objects.get(scope="global").level == Level.ACTIVE


NOT_A_REASON: list[Any] = [None, "", "   ", 5, True, [], {}, "x" * 2001]
NOT_AN_EXPIRY: list[Any] = [0, -1, "60", 1.5, True, 604801, [], {}]
NOT_A_SCOPE: list[Any] = [None, "", 5, [], {}, "everything", "account:", "symbol:!!", "global:x", "x" * 121]
CONTROL_CASES = [
    *[("post", "kill", {"reason": "r"}, "reason", v) for v in NOT_A_REASON],
    *[("post", "kill", {"reason": "r"}, "scope", v) for v in NOT_A_SCOPE],
    *[("post", "kill", {"reason": "r"}, "level", v) for v in (None, "", "ACTIVE", "cancel", 3, [], {})],
    *[("post", "kill", {"reason": "r"}, "flatten", v) for v in NOT_A_FLAG],
    ("post", "kill", {"reason": "r"}, "scoope", "global"),
    *[("put", "limits/max_notional", {"value": "1", "reason": "r"}, "reason", v) for v in NOT_A_REASON],
    *[("put", "limits/max_notional", {"value": "1", "reason": "r"}, "scope", v) for v in NOT_A_SCOPE],
    *[
        ("put", "limits/max_notional", {"value": "1", "reason": "r"}, "value", v)
        for v in [None, *(v for v in NOT_POSITIVE if v not in ("0", 0) or v is True)]
    ],
    *[
        ("put", "limits/max_notional", {"value": "9999", "reason": "r"}, "expires_in_s", v)
        for v in NOT_AN_EXPIRY
    ],
    ("put", "limits/max_notional", {"value": "1", "reason": "r"}, "valeu", "1"),
    *[("post", "strategy/trend/disable", {"reason": "r"}, "reason", v) for v in NOT_A_REASON],
    ("post", "strategy/trend/disable", {"reason": "r"}, "why", "x"),
    *[("post", "strategy/trend/enable", {"reason": "r"}, "reason", v) for v in NOT_A_REASON],
    *[("post", "strategy/trend/enable", {"reason": "r"}, "expires_in_s", v) for v in NOT_AN_EXPIRY],
    *[("post", "breakers/{breaker}/reset", {"reason": "r"}, "reason", v) for v in NOT_A_REASON],
    *[("post", "breakers/{breaker}/reset", {"reason": "r"}, "expires_in_s", v) for v in NOT_AN_EXPIRY],
    *[("post", "breakers/{breaker}/open", {"reason": "r"}, "reason", v) for v in NOT_A_REASON],
    *[("post", "reconcile", {}, "account", v) for v in ("", 5, True, [], {}, "a" * 41)],
    ("post", "reconcile", {}, "acount", "paper-spot"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "member", "value"),
    [pytest.param(*case, id=f"{case[1]} {case[3]}={str(case[4])[:14]}") for case in CONTROL_CASES],
)
def test_a_wrong_member_of_a_control_is_a_400_and_changes_nothing(
    world: World,
    risk_officer: Any,
    token_client: Any,
    method: str,
    path: str,
    body: Any,
    member: str,
    value: Any,
) -> None:
    breaker = CircuitBreaker.objects.create(
        name="b", scope="global", state="open", changed_at=world.account.opened_at
    )
    target = f"/api/v1/{path.format(breaker=breaker.pk)}"
    send = getattr(token_client(risk_officer), method)
    answer = send(target, {**body, member: value}, format="json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] in {"VALIDATION", "UNKNOWN_FIELD", "INVALID_SCOPE"}
    assert TradingState.objects.get().level == Level.ACTIVE
    assert RiskLimit.objects.get(name="max_notional").value == 5000
    assert not ChangeRequest.objects.exists()
    assert not ReconcileRun.objects.exists()
    world.strategy.refresh_from_db()
    assert world.strategy.is_enabled
    breaker.refresh_from_db()
    assert (breaker.state, breaker.reason) == ("open", "")


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("scope", NOT_A_SCOPE),
        ("to_level", [None, "", "active", 0, "CALM", [], {}]),
        ("reason", NOT_A_REASON),
        ("expires_in_s", NOT_AN_EXPIRY),
        ("until", ["x"]),
    ],
)
def test_a_wrong_member_of_a_resume_is_a_400(
    world: World, risk_officer: Any, session_client: Any, member: str, values: list[Any]
) -> None:
    TradingState.objects.update(level=Level.CANCEL)
    client = session_client(risk_officer)
    for value in values:
        body = {"scope": "global", "to_level": "ACTIVE", "reason": "r", member: value}
        answer = client.post("/api/v1/resume", body, format="json")
        assert answer.status_code == 400, (value, answer.content)
    assert not ChangeRequest.objects.exists()
