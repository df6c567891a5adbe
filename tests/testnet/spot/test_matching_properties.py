"""All order types and lists together, thousands of random operations: what must hold after every one."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testnet.accounts import Account
from testnet.errors import ApiError
from testnet.exchange import Exchange
from testnet.orders import TRANSITIONS, Order, Status
from testnet.snapshots import snapshot

from .exchange_setup import (
    STEP,
    assert_sound,
    differences,
    exchange_with,
    funded,
    new_order,
    place,
    place_list,
    public_state,
    recovered,
)

MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]
# As often as they are named: the plain ones and the market more than the rest.
KINDS = [
    "limit",
    "limit",
    "iceberg",
    "ioc",
    "fok",
    "market",
    "quote",
    "maker",
    "cancel",
    "cancel",
    "stop",
    "stop_limit",
    "trailing",
    "oco",
    "oto",
    "otoco",
    "amend",
    "background",
    "background",
    "background",
    "quote_book",
]
REFUSALS = {-2010, -2011, -2038, -1013}


class Crowd:
    """Random but reproducible requests of a few accounts and a background market."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.exchange: Exchange = exchange_with("BTCUSDT", "BNBUSDT")
        self.accounts: list[Account] = [
            funded(self.exchange, f"user-{n}", usdt=30_000, btc=300, bnb=3) for n in range(3)
        ]
        self.exchange.spot_market.set_bnb_burn(self.accounts[0], burn=True)
        self.refused: dict[int, int] = {}
        self.last_status: dict[int, Status] = {}

    def step(self) -> None:
        rng, exchange = self.rng, self.exchange
        exchange.clock.now_ms += rng.randint(0, 3)
        account = rng.choice(self.accounts)
        side = rng.choice(["BUY", "SELL"])
        kind = rng.choice(KINDS)
        try:
            getattr(self, f"do_{kind}")(account, side)
        except ApiError as refusal:
            self.refused[refusal.code] = self.refused.get(refusal.code, 0) + 1
        assert set(self.refused) <= REFUSALS, self.refused
        self.check()

    def price(self, spread: int = 12) -> int:
        return self.exchange.listing("BTCUSDT").tape.last_price + self.rng.randint(-spread, spread)

    def order(self, side: str, **more: Any) -> Any:
        price = more.pop("price", None) or self.price()
        return new_order(side, price, self.rng.randint(1, 60), stp=self.rng.choice(MODES), **more)

    def do_limit(self, account: Account, side: str) -> None:
        place(self.exchange, account, self.order(side))

    def do_iceberg(self, account: Account, side: str) -> None:
        steps = self.rng.randint(2, 60)
        visible = self.rng.randint(max(1, steps // 9), steps)
        request = new_order(side, self.price(), steps, iceberg=visible, stp=self.rng.choice(MODES))
        place(self.exchange, account, request)

    def do_ioc(self, account: Account, side: str) -> None:
        place(self.exchange, account, self.order(side, tif="IOC"))

    def do_fok(self, account: Account, side: str) -> None:
        made = place(self.exchange, account, self.order(side, tif="FOK"))
        assert made.status in (Status.FILLED, Status.EXPIRED)
        assert made.executed in (0, made.steps)

    def do_market(self, account: Account, side: str) -> None:
        place(self.exchange, account, self.order(side, kind="MARKET"))

    def do_quote(self, account: Account, side: str) -> None:
        quote = self.rng.randint(1, 500) * 10**8 // 100
        request = new_order(side, 0, 0, kind="MARKET", quote=quote, stp=self.rng.choice(MODES))
        made = place(self.exchange, account, request)
        assert made.executed_quote <= quote

    def do_maker(self, account: Account, side: str) -> None:
        made = place(self.exchange, account, self.order(side, kind="LIMIT_MAKER"))
        assert all(
            fill.maker
            for fill in self.exchange.spot.shelf(account.account_id).fills
            if fill.order_id == made.order_id
        )

    def do_stop(self, account: Account, side: str) -> None:
        kind = self.rng.choice(["STOP_LOSS", "TAKE_PROFIT"])
        place(self.exchange, account, self.order(side, kind=kind, stop=self.price(20)))

    def do_stop_limit(self, account: Account, side: str) -> None:
        kind = self.rng.choice(["STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"])
        tif = self.rng.choice(["GTC", "IOC", "FOK"])
        place(self.exchange, account, self.order(side, kind=kind, tif=tif, stop=self.price(20)))

    def do_trailing(self, account: Account, side: str) -> None:
        kind = self.rng.choice(["STOP_LOSS", "TAKE_PROFIT", "STOP_LOSS_LIMIT"])
        stop = self.rng.choice([0, self.price(20)])
        request = self.order(side, kind=kind, stop=stop, trailing=self.rng.randint(10, 30))
        place(self.exchange, account, request)

    def pair(self, side: str) -> tuple[Any, Any]:
        last = self.exchange.listing("BTCUSDT").tape.last_price
        steps = self.rng.randint(1, 60)
        up, down = last + self.rng.randint(1, 20), last - self.rng.randint(1, 20)
        limit, stop = (down, up) if side == "BUY" else (up, down)
        legs = self.rng.choice(["limit", "profit"])
        kind = self.rng.choice(["STOP_LOSS", "STOP_LOSS_LIMIT"])
        loss = new_order(side, stop + (3 if side == "BUY" else -3), steps, kind=kind, stop=stop)
        if legs == "limit":
            return loss, new_order(side, limit, steps, kind="LIMIT_MAKER")
        return loss, new_order(side, limit, steps, kind="TAKE_PROFIT_LIMIT", stop=limit)

    def do_oco(self, account: Account, side: str) -> None:
        place_list(self.exchange, account, "OCO", *self.pair(side))

    def do_oto(self, account: Account, side: str) -> None:
        other = "SELL" if side == "BUY" else "BUY"
        kind = self.rng.choice(["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "LIMIT_MAKER"])
        stop = self.price(20) if kind.startswith("STOP") else 0
        pending = new_order(other, self.price(), self.rng.randint(1, 30), kind=kind, stop=stop)
        place_list(self.exchange, account, "OTO", self.order(side), pending)

    def do_otoco(self, account: Account, side: str) -> None:
        other = "SELL" if side == "BUY" else "BUY"
        place_list(self.exchange, account, "OTOCO", self.order(side), *self.pair(other))

    def any_open(self, account: Account) -> Order | None:
        orders = self.exchange.spot.shelf(account.account_id).open_orders()
        return self.rng.choice(orders) if orders else None

    def do_cancel(self, account: Account, side: str) -> None:
        victim = self.any_open(account)
        if victim is not None:
            restriction = self.rng.choice([None, None, None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"])
            self.exchange.spot_market.cancel(victim, "cancel", restriction)

    def do_amend(self, account: Account, side: str) -> None:
        order = self.any_open(account)
        if order is not None:
            quantity = self.rng.randint(1, order.steps + 1) * STEP
            name = self.rng.choice([None, order.client_order_id, f"renamed-{self.exchange.seq}"])
            self.exchange.spot_market.amendments.amend(order, quantity, name)

    def do_background(self, account: Account, side: str) -> None:
        listing = self.exchange.listing(self.rng.choice(["BTCUSDT", "BTCUSDT", "BNBUSDT"]))
        best = listing.book.contra(side).best()
        if best is not None:
            limit = best + self.rng.randint(-2, 6) * (1 if side == "BUY" else -1)
            self.exchange.spot.background_take(listing, side, limit, self.rng.randint(1, 80))

    def do_quote_book(self, account: Account, side: str) -> None:
        listing = self.exchange.listing(self.rng.choice(["BTCUSDT", "BTCUSDT", "BNBUSDT"]))
        best = listing.book.contra(side).best()
        price = listing.tape.last_price + self.rng.randint(-6, 6)
        if best is None or (price < best if side == "BUY" else price > best):
            listing.book.side(side).add(price, self.rng.randint(1, 80))

    def check(self) -> None:
        assert_sound(self.exchange)
        engine = self.exchange.spot
        for order in engine.by_id.values():
            before = self.last_status.get(order.order_id)
            first = (Status.NEW, Status.PENDING_NEW)
            assert order.events[0][1] in first
            if before is not None and order.status is not before:
                assert order.status in TRANSITIONS[before] or any(
                    order.status in TRANSITIONS[middle] for middle in TRANSITIONS[before]
                )
            self.last_status[order.order_id] = order.status
            assert 0 <= order.executed + order.prevented <= order.steps
            if order.status is Status.FILLED:
                assert order.executed + order.prevented == order.steps
        for row in self.exchange.spot_market.lists.by_id.values():
            executed = [engine.by_id[order_id].executed for order_id in row.pair]
            assert sum(1 for steps in executed if steps) <= 1, "both legs of an OCO traded"
            still_open = any(engine.by_id[order_id].is_open for order_id in row.order_ids)
            assert row.done != still_open
            if row.kind != "OCO" and engine.by_id[row.order_ids[0]].status is not Status.FILLED:
                assert not any(engine.by_id[order_id].executed for order_id in row.pending)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9))
def test_nothing_is_lost_overdrawn_or_traded_twice_whatever_happens(seed: int) -> None:
    crowd = Crowd(seed)
    for _ in range(120):
        crowd.step()


def test_a_long_run_reaches_every_kind_of_order_and_end() -> None:
    crowd = Crowd(4)
    for _ in range(2_500):
        crowd.step()
    orders = list(crowd.exchange.spot.by_id.values())
    assert {order.status for order in orders} >= {
        Status.FILLED,
        Status.CANCELED,
        Status.EXPIRED,
        Status.EXPIRED_IN_MATCH,
        Status.NEW,
    }
    assert {order.type for order in orders if order.executed and order.stop is not None} == {
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    }
    lists = list(crowd.exchange.spot_market.lists.by_id.values())
    assert {row.kind for row in lists} == {"OCO", "OTO", "OTOCO"}
    pendings = [crowd.exchange.spot.by_id[i] for row in lists for i in row.pending]
    assert any(order.executed for order in pendings)
    assert any(fill.commission_asset == "BNB" for fill in crowd.exchange.spot.shelf("user-0").fills)
    assert {match.mode for match in crowd.exchange.spot.prevented} == set(MODES) - {"NONE"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.integers(1, 150))
def test_journal_cut_after_any_operation_recovers_exactly_the_live_state(seed: int, count: int) -> None:
    crowd = Crowd(seed)
    for _ in range(count):
        crowd.step()
    marks = {symbol: x.tape.last_price for symbol, x in crowd.exchange.spot.listings.items()}
    with tempfile.TemporaryDirectory() as name:
        again = recovered(crowd.exchange.journal.records, Path(name), marks)  # type: ignore[attr-defined]
    assert differences(public_state(again), public_state(crowd.exchange)) == []


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.integers(1, 120), st.integers(0, 60))
def test_snapshot_and_the_journal_after_it_recover_exactly_the_live_state(
    seed: int, before: int, after: int
) -> None:
    crowd = Crowd(seed)
    for _ in range(before):
        crowd.step()
    journal = crowd.exchange.journal
    state = {**snapshot(crowd.exchange, set()), "n": journal.number}
    text = json.dumps(state)
    for _ in range(after):
        crowd.step()
    marks = {symbol: x.tape.last_price for symbol, x in crowd.exchange.spot.listings.items()}
    records = journal.records[state["n"] :]  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        again = recovered(records, Path(name), marks, json.loads(text))
    assert differences(public_state(again), public_state(crowd.exchange)) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.floats(0.1, 1.0))
def test_journal_cut_inside_an_operation_recovers_a_sound_exchange(seed: int, share: float) -> None:
    crowd = Crowd(seed)
    for _ in range(150):
        crowd.step()
    records = crowd.exchange.journal.records  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        again = recovered(records[: max(30, int(len(records) * share))], Path(name))
    for row in again.spot_market.lists.by_id.values():
        known = [again.spot.by_id[i] for i in row.order_ids if i in again.spot.by_id]
        assert row.done != any(order.is_open for order in known)
    assert_sound(again)


def test_equal_runs_write_equal_journals() -> None:
    first, second = Crowd(11), Crowd(11)
    for _ in range(600):
        first.step()
        second.step()
    lines = [
        [json.dumps(record) for record in crowd.exchange.journal.records]  # type: ignore[attr-defined]
        for crowd in (first, second)
    ]
    assert len(lines[0]) > 1_000
    assert [pair for pair in zip(*lines, strict=True) if pair[0] != pair[1]] == []
