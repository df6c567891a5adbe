"""The crash table, row by row, on real processes: killed, stopped or lied to at exactly that place, and recovered.

One platform for all of it. Rows that need nothing of each other run together, each on a symbol (and so a lane) of its
own; then one look of the oracle judges them all. `CHAOS_MATRIX=100` repeats the whole of it.
"""

from __future__ import annotations

import http.client
import os
import signal
import time
import uuid
from collections.abc import Iterator

import pytest
import redis

from tests.chaos.bench import ENDED, Bench, running_bench
from tests.chaos.oracle import audit_verified
from tests.e2e.platform import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROUNDS = int(os.environ.get("CHAOS_MATRIX", "1"))
ORDER = "/api/v3/order"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with running_bench() as found:
        yield found


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c1_to_c8_whoever_dies_or_sleeps_on_the_way_of_an_order_nothing_is_lost_or_doubled(
    bench: Bench, round_: int
) -> None:
    bench.round()
    # C1: the web process dies while it reserves a person's order. The client asks again at the end.
    key, before = "", len(bench.accepted())
    body = bench.body("ETHUSDT")
    bench.arm("C1")
    for _ in range(30):
        key = f"matrix-{uuid.uuid4()}"
        try:
            answer = bench.post(body, key)
        except (OSError, http.client.HTTPException):
            break
        # Denied while prices are stale; a denial does not get that far.
        assert answer.status == 422, answer.body
        time.sleep(1)
    bench.hit("C1")
    assert len(bench.accepted()) == before
    # C3: killed with a signed request in hand. Nothing was sent, and only a proof may say so.
    bench.arm("C3")
    (lost,) = bench.until_hit("C3", "ETHUSDT")
    # C7: authorised and signed, then asleep for longer than its lease; what wakes up holds a dead request.
    bench.arm("C3", "stop", seconds=16.0)
    (paused,) = bench.until_hit("C3", "BNBUSDT", times=2)
    # C2, C5, C6 and both transactions before their commit, spread over the lanes: each death closes one for 12.5 s.
    survivors: dict[str, str] = {}
    for name, symbol in (
        *(("C2", "BTCUSDT"), ("C", "SOLUSDT"), ("B", "BTCUSDT")),
        *(("C6", "DOGEUSDT"), ("C5", "BTCUSDT")),
    ):
        bench.arm(name)
        survivors |= dict.fromkeys(bench.until_hit(name, symbol), name)
    # C4: the venue executes, the answer never arrives. C8: a request under way for longer than its window.
    fault = bench.fault({"path": ORDER, "method": "POST", "count": 1}, {"error_after": "drop"})
    unanswered = bench.order("SOLUSDT")
    assert bench.ended(unanswered) in ("FILLED", "EXPIRED")
    bench.heal(fault)
    fault = bench.fault({"path": ORDER, "method": "POST", "count": 1}, {"delay_ms": 2600})
    late = bench.order("SOLUSDT")
    assert bench.ended(late, "REJECTED", "ABSENT") in ("REJECTED", "ABSENT")
    bench.heal(fault)
    for client_id, name in survivors.items():
        status = bench.ended(client_id)
        # A decision that outlived its lane's take-over is given up, never sent late.
        assert status in ("FILLED", "EXPIRED", "RELEASED"), f"{name}: {status}"
        assert bench.times_at_venue(client_id) == (0 if status == "RELEASED" else 1), name
    for client_id, ends in ((lost, ("ABSENT",)), (paused, ("ABSENT", "REJECTED"))):
        assert bench.ended(client_id, *ends) in ends
    for client_id in (lost, paused, late):
        assert bench.times_at_venue(client_id) == 0
    # A key keeps its first answer, a denial too: it is asked again when orders of the symbol pass.
    bench.ended(bench.order("ETHUSDT"))
    answer = eventually(
        lambda: a if (a := bench.post(body, key)).status != 409 else None, within_s=90, what="answered"
    )
    assert answer.status == 201, answer.body
    assert bench.post(body, key).body["client_order_id"] == answer.body["client_order_id"]
    assert bench.ended(answer.body["client_order_id"]) in ("FILLED", "EXPIRED", "RELEASED")
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c9_and_c14_a_stream_that_lies_and_a_sweep_killed_in_the_middle_of_its_repair(
    bench: Bench, round_: int
) -> None:
    bench.round()
    faults = [
        bench.fault({"event": "executionReport"}, {"drop_event": True}),
        bench.fault({"path": ORDER, "method": "POST", "count": 2}, {"error_after": "drop"}),
    ]
    bench.arm("C14")
    orders = [bench.order("BTCUSDT"), bench.order("ETHUSDT")]
    bench.hit("C14")
    for client_id in orders:
        assert bench.ended(client_id) in ("FILLED", "EXPIRED", "RELEASED")
    bench.heal(faults[0])
    doubled = [
        bench.fault({"event": "*"}, {"duplicate_event": True}),
        bench.fault({"event": "*"}, {"reorder_events": True}),
    ]
    orders = [bench.order("SOLUSDT"), bench.order("BTCUSDT")]
    bench.fault({"event": "*", "count": 2}, {"disconnect": True})
    for client_id in orders:
        assert bench.ended(client_id) in ("FILLED", "EXPIRED", "RELEASED")
    for fault in (faults[1], *doubled):
        bench.heal(fault)
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_canceler_killed_before_or_after_the_venue_answers_cancels_once_and_books_it(
    bench: Bench, round_: int
) -> None:
    bench.round()
    resting = {
        name: bench.order(symbol, rests=True)
        for name, symbol in (("cancel", "BTCUSDT"), ("canceled", "ETHUSDT"))
    }
    for client_id in resting.values():
        bench.ended(client_id, "NEW")
    for name, client_id in resting.items():
        bench.arm(name)
        uid = bench.row(client_id)["uid"]
        assert bench.platform.request("DELETE", f"/api/v1/orders/{uid}").status in (200, 202)
        bench.hit(name)
    for client_id in resting.values():
        bench.ended(client_id, "CANCELED")
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_whoever_replaces_an_order_and_dies_leaves_one_of_the_two_at_the_venue(
    bench: Bench, round_: int
) -> None:
    """C3: nothing was sent, the old one stands. C5: it was carried out, and nobody heard. A lost answer: the same."""
    bench.round()
    old = {
        name: bench.order(symbol, rests=True)
        for name, symbol in (("C3", "BTCUSDT"), ("C5", "ETHUSDT"), ("drop", "SOLUSDT"))
    }
    for client_id in old.values():
        bench.ended(client_id, "NEW")
    new: dict[str, str] = {}
    for name, client_id in old.items():
        if name == "drop":
            bench.fault(
                {"path": f"{ORDER}/cancelReplace", "method": "POST", "count": 1}, {"error_after": "drop"}
            )
        else:
            bench.arm(name)
        new[name] = bench.replace(client_id)
        if name != "drop":
            bench.hit(name)
    assert bench.ended(new["C3"], "ABSENT", "RELEASED") in ("ABSENT", "RELEASED")
    assert bench.row(old["C3"])["status"] in ("NEW", "FILLED")
    assert bench.times_at_venue(new["C3"]) == 0
    for name in ("C5", "drop"):
        assert bench.ended(new[name], "NEW", "FILLED") in ("NEW", "FILLED")
        assert bench.ended(old[name]) == "CANCELED"
        assert bench.times_at_venue(new[name]) == 1
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c10_c12_c13_postgres_valkey_and_beat_may_die_and_hints_may_vanish(bench: Bench, round_: int) -> None:
    orders = [bench.order("BTCUSDT")]
    bench.kill("postgres")
    orders.append(bench.order("ETHUSDT"))
    redis.Redis(unix_socket_path=str(bench.platform.home / "run" / "valkey.sock")).flushall()
    orders.append(bench.order("SOLUSDT"))
    bench.kill("valkey")
    bench.kill("beat")
    orders.append(bench.order("BTCUSDT"))
    for client_id in orders:
        status = bench.ended(client_id)
        assert status in ("FILLED", "EXPIRED", "RELEASED")
        assert bench.times_at_venue(client_id) == (0 if status == "RELEASED" else 1)
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c15_c16_c17_a_jumping_clock_a_venue_that_is_gone_and_balances_that_vanish(
    bench: Bench, round_: int
) -> None:
    fault = bench.fault({}, {"clock_skew_ms": 60_000})
    # The rail may know of it before the order comes, or the exchange tells.
    skewed = bench.order_unless("CLOCK_OFFSET", "BTCUSDT")
    if skewed is not None:
        assert bench.ended(skewed) in ("FILLED", "EXPIRED", "RELEASED", "REJECTED", "ABSENT")
    bench.heal(fault)
    gone = bench.platform.pids("testnet")[0]
    waiting = bench.order("ETHUSDT")
    os.kill(gone, signal.SIGSTOP)
    time.sleep(3)
    os.kill(gone, signal.SIGCONT)
    assert bench.ended(waiting) in ENDED
    empty = bench.fault({"path": "*"}, {"zero_balances": True})
    time.sleep(3)
    bench.heal(empty)
    amounts = bench.database.rows("SELECT amount FROM trading_balance WHERE asset = 'USDT'")
    assert all(row["amount"] > 0 for row in amounts), "balances were believed to be gone"
    bench.agree()
    assert audit_verified(bench.platform.home) == []
