"""From a signal to a fill, through every way of pulling a plug, to Halt: one platform, the exchange as witness."""

from __future__ import annotations

import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.oracle import agree, differences
from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.e2e]

# One-minute bars close every two seconds, so that there is something to see.
SETTINGS = {"TESTNET_SPEED": "30"}

LIMIT_PRICE_FACTOR = Decimal("0.97")


def fills_of(platform: Platform) -> int:
    return len(platform.venue_ledger()["fills"])


def first_fill_explained(platform: Platform, strategy: str) -> dict[str, Any] | None:
    """What led to the strategy's oldest fill of the first page; a market maker's quotes fill before any bar closes."""
    for fill in reversed(platform.get("/api/v1/fills").body["results"]):
        explained: dict[str, Any] = platform.get(f"/api/v1/orders/{fill['order_id']}/explain").body
        if (explained["decision"] or {}).get("strategy") == strategy:
            return explained
    return None


def test_a_closed_bar_leads_to_a_decision_an_order_and_a_fill_that_the_exchange_confirms(
    platform: Platform,
) -> None:
    explained = eventually(
        lambda: first_fill_explained(platform, "moving_average"),
        within_s=90,
        what="a fill of the strategy that decides by closed bars",
    )
    assert all(check["passed"] for check in explained["rails"])
    agree(platform)


def test_equity_is_cash_plus_holdings_at_the_middle_price(platform: Platform) -> None:
    portfolio = platform.get("/api/v1/portfolio").body
    assert Decimal(portfolio["equity"]) == Decimal(portfolio["cash"]) + Decimal(portfolio["market_value"])
    # Paper trading for a minute costs commission and spread, not a tenth of the account.
    assert Decimal(180_000) < Decimal(portfolio["equity"]) < Decimal(210_000)


def test_every_process_kind_shows_up_in_the_metrics(platform: Platform) -> None:
    text = platform.get("/metrics", token=None).body
    for name in (
        "strategy_decisions_total",  # counted in a trading worker
        "orders_submitted_total",
        "submit_to_ack_seconds_bucket",
        "reconcile_runs_total",  # counted in the control worker
        "live_pushes_total",  # counted in the relay
        "market_data_events_total",  # counted in the feed
        "http_request_latency_seconds_bucket",  # counted in the web process
        "equity_usd",
        "stream_age_seconds",
    ):
        assert any(line.startswith(name) and not line.endswith(" 0.0") for line in text.splitlines()), name


@pytest.mark.parametrize(
    ("kind", "back_within_s"),
    [
        pytest.param("web", 15, marks=pytest.mark.long),
        pytest.param("worker-control", 15, marks=pytest.mark.long),
        ("worker-trading", 25),
        pytest.param("worker-jobs", 15, marks=pytest.mark.long),
        pytest.param("beat", 15, marks=pytest.mark.long),
        pytest.param("feed", 25, marks=pytest.mark.long),
        pytest.param("relay", 15, marks=pytest.mark.long),
        pytest.param("watchdog", 15, marks=pytest.mark.long),
        pytest.param("exporter", 15, marks=pytest.mark.long),
        pytest.param("testnet", 20, marks=pytest.mark.long),
        pytest.param("valkey", 20, marks=pytest.mark.long),
        ("postgres", 30),
    ],
)
def test_trading_goes_on_and_no_fill_is_lost_or_doubled_after_kill_9(
    platform: Platform, kind: str, back_within_s: int
) -> None:
    victim = platform.pids(kind)[0]
    os.kill(victim, signal.SIGKILL)
    eventually(
        lambda: [p for p in platform.pids(kind) if p != victim and p > 0],
        within_s=back_within_s,
        what=f"{kind} is running again",
    )
    eventually(
        lambda: platform.get("/readyz", token=None).status == 200,
        within_s=back_within_s + 20,
        what="ready again",
    )
    before = platform.get("/api/v1/decisions").body["results"][0]["id"]
    eventually(
        lambda: platform.get("/api/v1/decisions").body["results"][0]["id"] > before,
        within_s=60,
        what=f"new decisions after {kind} died",
    )
    agree(platform, within_s=60)


def test_fills_missed_by_a_dropped_user_stream_are_booked_from_the_exchanges_list(platform: Platform) -> None:
    fault = platform.testnet(
        "POST", "faults", {"match": {"event": "executionReport"}, "effect": {"drop_event": True}}
    )["id"]
    before = fills_of(platform)
    eventually(lambda: fills_of(platform) > before, within_s=90, what="a fill nobody was told of")
    platform.testnet("POST", "faults", {"match": {"event": "*", "count": 1}, "effect": {"disconnect": True}})
    platform.testnet("DELETE", f"faults/{fault}")
    agree(platform, within_s=45)


def test_disabled_strategies_send_nothing_more_take_their_quotes_back_and_keep_their_positions(
    platform: Platform,
) -> None:
    enabled = [row["name"] for row in platform.get("/api/v1/strategy/").body["results"] if row["enabled"]]
    assert {"moving_average", "market_maker"} <= set(enabled)
    for name in enabled:
        answer = platform.request(
            "POST", f"/api/v1/strategy/{name}/disable", {"reason": "room for the next tests"}
        )
        assert answer.status == 200
    time.sleep(3)  # what was under way when they were disabled
    eventually(
        lambda: (
            not [o for o in platform.venue_ledger()["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")]
        ),
        within_s=30,
        what="no quote rests",
    )
    agree(platform)
    count = len(platform.venue_ledger()["orders"])
    held = platform.get("/api/v1/positions").body["results"]
    time.sleep(6)  # three closed bars
    assert len(platform.venue_ledger()["orders"]) == count
    assert [p["quantity"] for p in platform.get("/api/v1/positions").body["results"]] == [
        p["quantity"] for p in held
    ]


def test_a_command_in_a_second_terminal_stops_one_symbol_at_the_exchange(platform: Platform) -> None:
    price = (platform.price("SOLUSDT") * LIMIT_PRICE_FACTOR).quantize(Decimal("0.01"))
    resting = platform.order(
        f"cli-{uuid.uuid4()}", symbol="SOLUSDT", side="BUY", quantity="1", price=str(price)
    )
    assert resting.status == 201, resting.body
    done = platform.command("kill", "--scope", "symbol:SOLUSDT", "--reason", "drill", "--json")
    assert done.returncode == 0, done.stderr
    assert '"confirmed": true' in done.stdout
    order = platform.get(f"/api/v1/orders/{resting.body['id']}").body
    assert order["status"] == "CANCELED"
    # The earlier system's reconciliation could not even be imported (W40).
    reconciled = platform.command("reconcile", "--account", "paper-spot")
    assert reconciled.returncode == 0, reconciled.stderr
    verified = platform.command("audit", "verify")
    assert verified.returncode == 0, verified.stderr


def test_200_posts_of_one_idempotency_key_are_one_order_at_the_exchange(platform: Platform) -> None:
    """The earlier system checked the key, sent, then stored it: two at once both traded (W15)."""
    key = f"once-{uuid.uuid4()}"
    price = (platform.price("BTCUSDT") * LIMIT_PRICE_FACTOR).quantize(Decimal("0.01"))
    body = {"symbol": "btc/usdt", "side": "BUY", "quantity": "0.001", "price": str(price)}
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: platform.order(key, **body), range(200)))
    assert {answer.status for answer in answers} <= {200, 201}, {a.status: a.body for a in answers}
    assert sum(answer.status == 201 for answer in answers) == 1
    assert len({answer.body["client_order_id"] for answer in answers}) == 1
    client_order_id = answers[0].body["client_order_id"]
    at_venue = [o for o in platform.venue_ledger()["orders"] if o["client_order_id"] == client_order_id]
    assert len(at_venue) == 1
    other = platform.order(key, **{**body, "quantity": "0.002"})
    assert (other.status, other.body["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    asked = platform.request("DELETE", f"/api/v1/orders/{answers[0].body['id']}?wait=fill&timeout=20")
    assert (asked.status, asked.body["status"]) == (200, "CANCELED"), asked.body
    agree(platform)


def test_a_cap_holds_under_16_concurrent_submits(platform: Platform) -> None:
    limits = {
        row["name"]: row for row in platform.get("/api/v1/limits").body["results"] if row["scope"] == "global"
    }
    used = Decimal(limits["exposure_account"]["used"])
    price = (platform.price("ETHUSDT") * LIMIT_PRICE_FACTOR).quantize(Decimal("0.01"))
    quantity = (Decimal(400) / price).quantize(Decimal("0.0001"))
    each = price * quantity
    cap = used + each * 5 + each / 2  # room for exactly five
    answer = platform.request(
        "PUT",
        "/api/v1/limits/exposure_account",
        {
            "value": str(cap.quantize(Decimal("0.01"))),
            "scope": "account:paper-spot",
            "reason": "test of the cap",
        },
        token="risk",
    )
    assert answer.status == 200, answer.body
    body = {"symbol": "ETHUSDT", "side": "BUY", "quantity": str(quantity), "price": str(price)}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: platform.order(f"cap-{n}-{uuid.uuid4()}", **body), range(16)))
    accepted = [a for a in answers if a.status == 201]
    denied = [a for a in answers if a.status == 422]
    assert len(accepted) == 5, [(a.status, a.body.get("code")) for a in answers]
    assert {a.body["code"] for a in denied} == {"EXPOSURE_ACCOUNT"}
    assert len(denied) == 11
    open_now = [o for o in platform.venue_ledger()["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")]
    assert len(open_now) == 5
    agree(platform)


def test_loosening_takes_a_second_person_and_never_the_requester(platform: Platform) -> None:
    answer = platform.request(
        "PUT",
        "/api/v1/limits/exposure_account",
        {"value": "40000", "scope": "account:paper-spot", "reason": "back to normal"},
        token="risk",
    )
    assert answer.status == 202, answer.body
    approval = answer.body["id"]
    by_token = platform.request("POST", f"/api/v1/approvals/{approval}/approve", {}, token="risk2")
    assert (by_token.status, by_token.body["code"]) == (403, "SESSION_REQUIRED")
    own = platform.session("risk").post(f"/api/v1/approvals/{approval}/approve", {"note": "mine"})
    assert (own.status, own.body["code"]) == (403, "SELF_APPROVAL")
    other = platform.session("risk2").post(f"/api/v1/approvals/{approval}/approve", {"note": "agreed"})
    assert (other.status, other.body["state"]) == (200, "applied")
    rows = platform.get("/api/v1/limits").body["results"]
    assert next(r for r in rows if r["scope"] == "account:paper-spot")["value"] == "40000"


def test_halt_cancels_everything_at_the_exchange_and_says_so(platform: Platform) -> None:
    """The earlier system's kill wrote a file nothing read, and answered ok (W24)."""
    open_before = [o for o in platform.venue_ledger()["orders"] if o["status"] == "NEW"]
    assert open_before, "resting orders are needed to show that they go"
    answer = platform.request(
        "POST", "/api/v1/kill", {"scope": "global", "level": "CANCEL", "reason": "drill"}
    )
    assert answer.status == 200, answer.body
    assert answer.body["confirmed"] is True
    assert answer.body["open_orders_remaining"] == 0
    assert answer.body["elapsed_s"] < 5
    assert not [o for o in platform.venue_ledger()["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")]
    refused = platform.order(
        f"halted-{uuid.uuid4()}", symbol="BTCUSDT", side="BUY", quantity="0.001", price="1000"
    )
    assert (refused.status, refused.body["code"], refused.body["level"]) == (422, "TRADING_HALTED", "CANCEL")
    agree(platform)


def test_a_halt_survives_a_restart_of_the_workers_and_only_two_people_end_it(platform: Platform) -> None:
    for kind in ("worker-trading", "worker-control", "web"):
        os.kill(platform.pids(kind)[0], signal.SIGKILL)
    eventually(lambda: platform.get("/readyz", token=None).status == 200, within_s=60, what="ready again")
    assert platform.get("/api/v1/status").body["trading"]["level_name"] == "CANCEL"
    asked = platform.session("risk").post(
        "/api/v1/resume", {"scope": "global", "to_level": "ACTIVE", "reason": "the drill is over"}
    )
    assert asked.status == 202, asked.body
    done = platform.session("risk2").post(f"/api/v1/approvals/{asked.body['id']}/approve", {"note": "yes"})
    assert (done.status, done.body["state"]) == (200, "applied")
    assert platform.get("/api/v1/status").body["trading"]["level_name"] == "ACTIVE"


@pytest.mark.long
def test_sigterm_stops_everything_in_order_and_a_restart_finds_the_same_books(platform: Platform) -> None:
    orders = len(platform.venue_ledger()["orders"])
    took = platform.stop()
    assert took < 30
    assert platform.all_pids() == []
    platform.start()
    assert len(platform.venue_ledger()["orders"]) >= orders
    agree(platform, within_s=45)
    assert differences(platform) == []


def test_kill_9_of_the_supervisor_leaves_no_orphan(platform: Platform) -> None:
    assert platform.process is not None
    os.kill(platform.process.pid, signal.SIGKILL)
    platform.process.wait(timeout=10)

    def gone() -> bool:
        left: list[Any] = platform.all_pids()
        return not left

    eventually(gone, within_s=20, what="no process of this home is left")
