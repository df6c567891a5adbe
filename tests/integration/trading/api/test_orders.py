"""Placing, reading, canceling and explaining orders through the API."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, IdempotencyRecord
from tests.integration.trading.api.requests import LIMIT_ORDER, MARKET_ORDER, key, place
from tests.integration.trading.api.world import World, build_world
from trading.domain.values import Level
from trading.models import Order, OrderEvent, Plan, PlanShare, Position, RiskLimit, TradingState, VenueEvent

pytestmark = pytest.mark.django_db

MEMBERS = {
    "id", "account", "symbol", "market", "side", "type", "status", "quantity", "price", "executed_quantity",
    "average_price", "client_order_id", "venue_order_id", "strategy", "model_version", "created_at", "events",
}  # fmt: skip


@pytest.fixture
def client(world: World, trader: Any, token_client: Any) -> Any:
    return token_client(trader)


def test_an_accepted_order_answers_201_with_the_contracts_members(client: Any) -> None:
    answer = place(client)
    body = answer.json()
    assert answer.status_code == 201, body
    assert set(body) == MEMBERS
    assert body["status"] == "RESERVED"
    assert (body["quantity"], body["price"], body["executed_quantity"]) == ("0.001", "60000", "0")
    assert body["average_price"] is None
    assert len(body["client_order_id"]) <= 36
    assert [event["status"] for event in body["events"]] == ["RESERVED"]
    assert answer["Location"] == f"/api/v1/orders/{body['id']}"


def test_an_order_can_be_read_back_by_its_id(client: Any) -> None:
    placed = place(client).json()
    assert client.get(f"/api/v1/orders/{placed['id']}").json() == placed


def test_an_unknown_order_is_404_with_a_code(client: Any) -> None:
    for path in ("", "/explain"):
        answer = client.get(f"/api/v1/orders/{uuid.uuid4()}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_ORDER")


@pytest.mark.parametrize("spelling", ["btcusdt", "BTC/USDT", "btc-usdt", "BTC_USDT", "BTCUSDT.BINANCE"])
def test_any_common_spelling_of_a_symbol_is_understood(client: Any, spelling: str) -> None:
    assert place(client, symbol=spelling).json()["symbol"] == "BTCUSDT"


def test_a_market_order_for_money_becomes_a_quantity(client: Any) -> None:
    body = place(client, MARKET_ORDER).json()
    assert body["type"] == "MARKET"
    # 60 USDT at the ask of 60 010, cut to the step of 0.00001, can buy no more than 0.00099 BTC.
    assert Decimal("0.0009") < Decimal(body["quantity"]) <= Decimal("0.00099")


def test_without_an_idempotency_key_nothing_is_placed(client: Any) -> None:
    answer = client.post("/api/v1/orders", LIMIT_ORDER, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert not Order.objects.exists()


def test_the_same_key_and_body_is_the_same_order_and_says_so(client: Any) -> None:
    headers = key()
    first = client.post("/api/v1/orders", LIMIT_ORDER, format="json", **headers)
    again = client.post("/api/v1/orders", LIMIT_ORDER, format="json", **headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert Order.objects.count() == 1


def test_the_same_key_with_another_body_is_a_conflict(client: Any) -> None:
    headers = key()
    client.post("/api/v1/orders", LIMIT_ORDER, format="json", **headers)
    answer = client.post("/api/v1/orders", {**LIMIT_ORDER, "quantity": "0.002"}, format="json", **headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert Order.objects.count() == 1


def test_a_denied_order_answers_422_with_rail_measured_limit_and_every_check(client: Any) -> None:
    answer = place(client, quantity="0.2")  # 12 000 USDT against a largest order of 5 000
    body = answer.json()
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert (body["code"], body["rail"]) == ("NOTIONAL_ABOVE_MAX", "max_notional")
    assert (body["measured"], body["limit"]) == ("12000", "5000")
    verdicts = {check["rail"]: check["passed"] for check in body["checks"]}
    assert verdicts["max_notional"] is False
    assert verdicts["kill_level"] is True
    assert Order.objects.get().status == "DENIED"


def test_a_denial_is_final_for_its_key(client: Any) -> None:
    headers = key()
    body = {**LIMIT_ORDER, "quantity": "0.2"}
    first = client.post("/api/v1/orders", body, format="json", **headers)
    RiskLimit.objects.filter(name="max_notional").update(value=50_000)
    again = client.post("/api/v1/orders", body, format="json", **headers)
    assert again.status_code == 422
    assert again.json() == first.json()


def test_a_halted_scope_denies_and_names_its_level(client: Any) -> None:
    TradingState.objects.update(level=Level.HALT_NEW)
    body = place(client).json()
    assert (body["code"], body["level"]) == ("TRADING_HALTED", "HALT_NEW")


def test_a_symbol_off_the_list_is_denied_and_stored_as_denied(client: Any, world: World) -> None:
    world.account.symbolallowance_set.filter(instrument=world.eth).delete()
    answer = place(client, symbol="ETHUSDT", price="3000", quantity="0.01")
    assert (answer.status_code, answer.json()["code"]) == (422, "SYMBOL_NOT_ALLOWED")
    listed = client.get("/api/v1/orders?status=DENIED").json()["results"]
    assert [row["code"] for row in listed] == ["SYMBOL_NOT_ALLOWED"]


def test_the_second_order_of_a_minute_is_rate_limited_and_says_when_to_come_back(client: Any) -> None:
    RiskLimit.objects.filter(name="orders_per_minute").update(value=1)
    assert place(client).status_code == 201
    answer = place(client)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "RATE_LIMITED")
    assert 0 < body["retry_after"] <= 60
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_an_order_without_a_price_to_judge_by_is_denied(client: Any, world: World) -> None:
    world.quote(world.btc, None, None)
    answer = place(client, MARKET_ORDER, quote_quantity=None, quantity="0.001")
    assert (answer.status_code, answer.json()["code"]) == (422, "PRICE_UNAVAILABLE")


def test_a_dry_run_judges_and_leaves_nothing_behind(client: Any) -> None:
    before = AuditEntry.objects.count()
    answer = client.post("/api/v1/orders", {**LIMIT_ORDER, "dry_run": True}, format="json")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["dry_run"], body["accepted"], body["denial"]) == (True, True, None)
    assert len(body["checks"]) >= 20
    too_large = {**LIMIT_ORDER, "quantity": "0.2", "dry_run": True}
    refused = client.post("/api/v1/orders", too_large, format="json")
    assert refused.status_code == 200
    assert refused.json()["accepted"] is False
    assert refused.json()["denial"]["code"] == "NOTIONAL_ABOVE_MAX"
    assert not Order.objects.exists()
    assert not OrderEvent.objects.exists()
    assert not Position.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    assert AuditEntry.objects.count() == before


def test_a_viewer_may_read_but_not_place_or_cancel(world: World, viewer: Any, token_client: Any) -> None:
    client = token_client(viewer)
    order = world.order()
    assert client.get("/api/v1/orders").status_code == 200
    cancels = [client.delete(f"/api/v1/orders/{order.uid}"), client.delete("/api/v1/orders")]
    for answer in (place(client), *cancels):
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    order.refresh_from_db()
    assert order.cancel_requested_at is None


def test_canceling_an_order_that_was_not_sent_releases_it_and_what_it_held(client: Any) -> None:
    placed = place(client).json()
    answer = client.delete(f"/api/v1/orders/{placed['id']}")
    assert (answer.status_code, answer.json()["status"]) == (200, "RELEASED")
    balance = client.get("/api/v1/balances?asset=USDT").json()["results"][0]
    assert (balance["free"], balance["locked"]) == ("10000", "0")


def test_canceling_an_order_at_the_venue_marks_it_once(client: Any, world: World) -> None:
    order = world.order(status="NEW", venue_order_id=7)
    first = client.delete(f"/api/v1/orders/{order.uid}")
    order.refresh_from_db()
    asked_at = order.cancel_requested_at
    second = client.delete(f"/api/v1/orders/{order.uid}")
    order.refresh_from_db()
    assert (first.status_code, second.status_code) == (200, 200)
    assert asked_at is not None
    assert order.cancel_requested_at == asked_at


def test_canceling_an_order_that_is_over_is_a_conflict(client: Any, world: World) -> None:
    order = world.order(status="FILLED", ended_at=now())
    answer = client.delete(f"/api/v1/orders/{order.uid}")
    assert (answer.status_code, answer.json()["code"]) == (409, "ORDER_CLOSED")


def test_canceling_by_symbol_leaves_other_symbols_alone(client: Any, world: World) -> None:
    btc, eth = world.order(), world.order(instrument=world.eth)
    answer = client.delete("/api/v1/orders?symbol=btc-usdt")
    assert (answer.status_code, answer.json()) == (200, {"cancel_requested": 1})
    btc.refresh_from_db()
    eth.refresh_from_db()
    assert btc.cancel_requested_at is not None
    assert eth.cancel_requested_at is None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("symbol=NOPEUSDT", 404, "UNKNOWN_SYMBOL"),
        ("symbol=", 404, "UNKNOWN_SYMBOL"),
        ("account=nobody", 404, "UNKNOWN_ACCOUNT"),
        ("symbl=BTCUSDT", 400, "UNKNOWN_FILTER"),
    ],
)
def test_a_mistyped_mass_cancel_cancels_nothing(
    client: Any, world: World, query: str, status: int, code: str
) -> None:
    order = world.order()
    answer = client.delete(f"/api/v1/orders?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    order.refresh_from_db()
    assert order.cancel_requested_at is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("wait=maybe", "INVALID_WAIT"),
        ("wait=ack&timeout=0", "INVALID_TIMEOUT"),
        ("wait=ack&timeout=-1", "INVALID_TIMEOUT"),
        ("wait=ack&timeout=31", "INVALID_TIMEOUT"),
        ("wait=ack&timeout=NaN", "INVALID_TIMEOUT"),
        ("wait=ack&timeout=soon", "INVALID_TIMEOUT"),
        ("waits=ack", "UNKNOWN_FILTER"),
    ],
)
def test_a_wrong_wait_is_refused_before_anything_is_placed(client: Any, query: str, code: str) -> None:
    answer = place(client, query=f"?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Order.objects.exists()


def test_waiting_gives_up_in_time_and_answers_with_the_order_as_it_is(client: Any) -> None:
    answer = place(client, query="?wait=ack&timeout=0.2")
    assert (answer.status_code, answer.json()["status"]) == (201, "RESERVED")


@pytest.mark.django_db(transaction=True)
def test_waiting_for_the_acknowledgement_ends_when_it_comes(trader_client_committed: Any) -> None:
    client = trader_client_committed
    released = threading.Event()

    def venue_acknowledges() -> None:
        try:
            while not released.is_set():
                order = Order.objects.first()
                if order is not None:
                    Order.objects.filter(pk=order.pk).update(status="NEW", acknowledged_at=now())
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_notify('order_changed', %s)", [str(order.pk)])
                    return
        finally:
            connection.close()

    thread = threading.Thread(target=venue_acknowledges)
    thread.start()
    try:
        answer = place(client, query="?wait=ack&timeout=10")
    finally:
        released.set()
        thread.join()
    assert (answer.status_code, answer.json()["status"]) == (201, "NEW")


@pytest.fixture
def trader_client_committed(transactional_db: None, make_user: Any, token_client: Any) -> Any:
    build_world()
    return token_client(make_user("trader"))


def test_explain_tells_the_whole_chain_from_decision_to_fill(client: Any, world: World) -> None:
    start = now() - timedelta(seconds=10)
    decision = world.decision(bar_open_at=start - timedelta(days=30))
    decision.decided_at = start
    decision.save()
    plan = Plan.objects.create(
        account=world.account, instrument=world.btc, version=3, price=60000,
        position_quantity=0, target_quantity=Decimal("0.01"), created_at=start,
    )  # fmt: skip
    PlanShare.objects.create(plan=plan, decision=decision, share=1)
    order = world.order(
        plan=plan,
        decision=decision,
        created_at=start + timedelta(milliseconds=40),
        sent_at=start + timedelta(milliseconds=65),
        acknowledged_at=start + timedelta(milliseconds=90),
        executed_quantity=Decimal("0.01"),
        executed_quote=Decimal("599.9"),
        status="FILLED",
        checks=[{"rail": "max_notional", "passed": True, "measured": "600", "limit": "5000"}],
        adjustments=["quantity 0.012 -> 0.01"],
    )
    world.fill(
        order, trade_id=9, price="59990", quantity="0.01", recorded_at=start + timedelta(milliseconds=140)
    )
    for digest, about in (("a", {"c": order.client_order_id}), ("b", {"c": "other"})):
        VenueEvent.objects.create(
            account=world.account, kind="executionReport", digest=digest, payload=about, received_at=now()
        )
    body = client.get(f"/api/v1/orders/{order.uid}/explain").json()
    assert body["decision"]["features"] == {"fast": 60010.0, "slow": 59900.0}
    assert [share["strategy"] for share in body["plan"]["shares"]] == ["trend"]
    assert body["rails"] == [{"rail": "max_notional", "passed": True, "measured": "600", "limit": "5000"}]
    assert body["adjustments"] == ["quantity 0.012 -> 0.01"]
    assert [message["payload"] for message in body["venue_messages"]] == [{"c": order.client_order_id}]
    assert body["order"]["average_price"] == "59990"
    assert [fill["venue_trade_id"] for fill in body["fills"]] == [9]
    waterfall = [
        (step["step"], step["since_start_ms"], step["since_previous_ms"]) for step in body["latency"]
    ]
    assert waterfall == [
        ("decided", 0, 0),
        ("created", 40, 40),
        ("sent", 65, 25),
        ("acknowledged", 90, 25),
        ("first_fill", 140, 50),
    ]
