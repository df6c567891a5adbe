"""`/brackets` and the exits of `POST /orders`."""

from __future__ import annotations

from typing import Any

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from tests.integration.trading.api.requests import key, place
from tests.integration.trading.api.world import World
from trading.models import Bracket

pytestmark = pytest.mark.django_db
EXITS = {
    "stop_loss": {"price": "57000", "limit_price": "56900", "escalate_after_s": 7},
    "take_profit": [{"price": "63000", "share": "0.25"}, "66000"],
    "time_exit_s": 3600,
}


@pytest.fixture
def client(world: World, trader: Any, token_client: Any) -> Any:
    return token_client(trader)


@pytest.fixture
def bracket(client: Any, world: World) -> Bracket:
    world.quote(world.btc, "59990", "60010")  # making people takes its time, and prices grow old
    answer = place(client, **EXITS)
    assert answer.status_code == 201, answer.json()
    return Bracket.objects.get()


def move(client: Any, bracket: Bracket, **body: Any) -> Any:
    return client.post(
        f"/api/v1/brackets/{bracket.pk}/move", {"reason": "test", **body}, format="json", **key()
    )


def test_an_order_with_exits_shows_its_bracket(client: Any, bracket: Bracket) -> None:
    (listed,) = client.get("/api/v1/brackets").json()
    assert listed == client.get(f"/api/v1/brackets/{bracket.pk}").json()
    told = {name: listed[name] for name in ("account", "symbol", "position_side", "exit_side", "state")}
    assert told == {
        "account": "paper-spot", "symbol": "BTCUSDT", "position_side": "BOTH", "exit_side": "SELL",
        "state": "PENDING",
    }  # fmt: skip
    assert (listed["stop_loss"], listed["stop_limit"], listed["stop_in_force"]) == ("57000", "56900", "57000")
    assert listed["take_profit"] == [
        {"price": "63000", "share": "0.25"},
        {"price": "66000", "share": "0.75"},  # what the others leave
    ]
    assert [(o["role"], o["status"], o["quantity"]) for o in listed["orders"]] == [
        ("entry", "RESERVED", "0.001")
    ]
    assert [event["what"] for event in listed["events"]] == ["entry"]
    explained = client.get(f"/api/v1/orders/{listed['orders'][0]['id']}/explain").json()
    assert explained["bracket"]["id"] == bracket.pk


def test_exits_are_moved_and_what_is_left_out_stays(client: Any, bracket: Bracket) -> None:
    answer = move(client, bracket, stop_loss="58000")
    body = answer.json()
    assert answer.status_code == 200, body
    assert (body["stop_loss"], body["stop_limit"]) == ("58000", None)
    assert [target["price"] for target in body["take_profit"]] == ["63000", "66000"]
    assert AuditEntry.objects.filter(action="bracket.moved").count() == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"stop_loss": "64000"}, "INVALID_ORDER"),  # above the first take-profit
        ({"take_profit": [{"price": "63000", "share": "0.7"}, {"price": "64000", "share": "0.7"}]}, "INVALID_ORDER"),
        ({"trailing": "0.9"}, "INVALID_ORDER"),
        ({"stop_loss": "58000", "reason": ""}, "VALIDATION"),
        ({"stop": "58000"}, "UNKNOWN_FIELD"),
    ],
)  # fmt: skip
def test_a_move_that_makes_no_sense_is_refused_and_changes_nothing(
    client: Any, bracket: Bracket, body: dict[str, Any], code: str
) -> None:
    before = client.get(f"/api/v1/brackets/{bracket.pk}").json()
    answer = move(client, bracket, **body)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert client.get(f"/api/v1/brackets/{bracket.pk}").json() == before


def test_the_same_move_twice_is_one(client: Any, bracket: Bracket) -> None:
    headers = key()
    path = f"/api/v1/brackets/{bracket.pk}/move"
    body = {"stop_loss": "58000", "reason": "test"}
    first = client.post(path, body, format="json", **headers)
    again = client.post(path, body, format="json", **headers)
    assert again["Idempotency-Replayed"] == "true"
    assert first.json() == again.json()
    assert AuditEntry.objects.filter(action="bracket.moved").count() == 1


def test_protection_is_taken_down_by_its_number(client: Any, bracket: Bracket) -> None:
    body = client.delete(f"/api/v1/brackets/{bracket.pk}", **key()).json()
    assert (body["stop_loss"], body["take_profit"], body["time_exit_at"]) == (None, [], None)
    assert body["orders"][0]["status"] == "RESERVED"  # the entry is left alone


def test_a_bracket_that_is_over_is_neither_moved_nor_taken_down(client: Any, bracket: Bracket) -> None:
    Bracket.objects.update(state="DONE", ended_at=now())
    for answer in (
        move(client, bracket, stop_loss="58000"),
        client.delete(f"/api/v1/brackets/{bracket.pk}", **key()),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "BRACKET_CLOSED")


def test_an_unknown_bracket_is_404_with_a_code(client: Any) -> None:
    unknown = Bracket(pk=4711)
    for answer in (
        client.get("/api/v1/brackets/4711"),
        move(client, unknown, stop_loss="58000"),
        client.delete("/api/v1/brackets/4711", **key()),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_BRACKET")


def test_a_viewer_reads_and_changes_nothing(
    client: Any, bracket: Bracket, viewer: Any, token_client: Any
) -> None:
    reader = token_client(viewer)
    assert reader.get("/api/v1/brackets").status_code == 200
    assert move(reader, bracket, stop_loss="58000").status_code == 403
    assert reader.delete(f"/api/v1/brackets/{bracket.pk}", **key()).status_code == 403


def test_spot_has_no_long_or_short_to_name(client: Any) -> None:
    answer = place(client, position_side="LONG")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ORDER")
    assert place(client, position_side="BOTH").status_code == 201
