"""The matching engine against a naive model, over thousands of random operations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testnet.accounts import Account, Balance
from testnet.clock import MarketClock
from testnet.errors import ApiError, InvariantViolation
from testnet.exchange import Exchange
from testnet.instruments import _CATALOG, Character, catalog_instrument, make_instrument
from testnet.journal import Journal
from testnet.listing import Listing
from testnet.orders import TRANSITIONS, NewOrder, Order, Status
from testnet.values import SCALE, MalformedDecimal, TooPrecise, parse_units, units_text

TICK = SCALE // 100
STEP = SCALE // 1000


def empty_exchange() -> tuple[Exchange, Listing]:
    exchange = Exchange(MarketClock(60_000, speed=0), Journal(None), seed=1)
    instrument = make_instrument("BTCUSDT", TICK, STEP, 100.0, min_notional=0)
    listing = Listing(instrument, Character(price=100.0))
    exchange.add_listing(listing)
    listing.tape.last_price = 10_000
    listing.klines.start_minute(60_000, 10_000)
    return exchange, listing


def funded(exchange: Exchange, name: str, usdt: int = 10**6, btc: int = 10**4) -> Account:
    account = exchange.create_account(name)
    exchange.transfer(account, "USDT", usdt * SCALE)
    exchange.transfer(account, "BTC", btc * SCALE)
    return account


def order(
    side: str, price: int, steps: int, client_id: str, *, kind: str = "LIMIT", tif: str = "GTC"
) -> NewOrder:
    return NewOrder(
        "BTCUSDT",
        side,
        kind,
        tif,
        0 if kind == "MARKET" else price * TICK,
        steps * STEP,
        0,
        client_id,
        "FULL",
    )


def conserved(exchange: Exchange) -> bool:
    sent: dict[str, int] = {}
    for transfer in exchange.transfers:
        sent[transfer.asset] = sent.get(transfer.asset, 0) + transfer.amount
    return all(exchange.accounts.totals().get(asset, 0) == units for asset, units in sent.items())


def all_balances(exchange: Exchange) -> Iterator[Balance]:
    for account in exchange.accounts.by_id.values():
        yield from account.balances.values()


operation = st.tuples(
    st.sampled_from(["limit", "ioc", "fok", "market", "maker", "cancel", "background"]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(9_990, 10_010),
    st.integers(1, 60),
    st.integers(0, 2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operation, min_size=20, max_size=120))
def test_random_operations_conserve_every_asset_and_never_overdraw(
    operations: list[tuple[str, str, int, int, int]],
) -> None:
    exchange, listing = empty_exchange()
    accounts = [funded(exchange, f"user-{n}", usdt=3_000, btc=30) for n in range(3)]
    resting: list[Order] = []
    seen_status: dict[int, Status] = {}
    refusals: set[int] = set()
    for number, (kind, side, price, steps, who) in enumerate(operations):
        account = accounts[who]
        try:
            if kind == "background":
                if not listing.book.contra(side).levels:
                    other = listing.book.side(side)
                    other.add(price, steps)
                else:
                    exchange.spot.background_take(listing, side, price, steps)
            elif kind == "cancel":
                if resting:
                    exchange.spot.cancel(resting[price % len(resting)], f"x{number}")
            else:
                request = order(
                    side,
                    price,
                    steps,
                    f"c{number}",
                    kind={"market": "MARKET", "maker": "LIMIT_MAKER"}.get(kind, "LIMIT"),
                    tif={"ioc": "IOC", "fok": "FOK"}.get(kind, "GTC"),
                )
                placed, fills = exchange.spot.place(account, request)
                assert sum(fill.quantity for fill in fills) == placed.executed * STEP
                resting.append(placed)
        except ApiError as refusal:
            refusals.add(refusal.code)
        assert refusals <= {-2010, -2011, -1013}
        assert conserved(exchange)
        assert all(b.free >= 0 and b.locked >= 0 for b in all_balances(exchange))
        bid, ask = listing.book.bids.best(), listing.book.asks.best()
        assert bid is None or ask is None or bid < ask, "the book must never rest crossed"
        for item in resting:
            before = seen_status.get(item.order_id, Status.NEW)
            assert item.status is before or item.status in TRANSITIONS[before]
            seen_status[item.order_id] = item.status
            assert 0 <= item.executed <= item.steps
    for account in accounts:
        for asset, balance in account.balances.items():
            owed = sum(
                o.locked
                for o in resting
                if o.is_open
                and o.account_id == account.account_id
                and asset == (o.instrument.quote if o.side == "BUY" else o.instrument.base)
            )
            assert balance.locked == owed


class NaiveBook:
    """Price-time priority by sorting everything at every step.

    An iceberg offers its visible part; when that is used up the next part arrives as if it were new.
    """

    def __init__(self) -> None:
        # [place in the queue, is_buy, price, visible, hidden, part, order]
        self.resting: list[list[int]] = []
        self.turn = 0

    def place(
        self, order: int, side: str, price: int, steps: int, part: int = 0
    ) -> list[tuple[int, int, int]]:
        buys = side == "BUY"
        fills = []
        while steps:
            candidates = [
                row
                for row in self.resting
                if row[1] != buys and (row[2] <= price if buys else row[2] >= price)
            ]
            if not candidates:
                break
            row = min(candidates, key=lambda row: (row[2] if buys else -row[2], row[0]))
            take = min(steps, row[3])
            row[3] -= take
            steps -= take
            fills.append((row[6], row[2], take))
            if not row[3]:
                self.turn += 1
                row[0], row[3] = self.turn, min(row[5], row[4])
                row[4] -= row[3]
            self.resting = [row for row in self.resting if row[3]]
        if steps:
            self.turn += 1
            visible = min(part or steps, steps)
            self.resting.append([self.turn, int(buys), price, visible, steps - visible, part, order])
        return fills


def test_ten_thousand_limit_orders_match_exactly_as_a_naive_book_does() -> None:
    exchange, listing = empty_exchange()
    maker = funded(exchange, "maker", usdt=10**9, btc=10**7)
    rng = random.Random(5)
    naive = NaiveBook()
    icebergs = 0
    for number in range(1, 10_001):
        side = rng.choice(["BUY", "SELL"])
        price, steps = 10_000 + round(rng.gauss(3 if side == "SELL" else -3, 6)), rng.randint(1, 40)
        shelf = exchange.spot.shelf(maker.account_id)
        open_orders = shelf.open_orders()
        if len(open_orders) > 150:
            victim = open_orders[0]
            exchange.spot.cancel(victim, f"x{number}")
            naive.resting = [row for row in naive.resting if row[6] != int(victim.client_order_id)]
        hides = not rng.randrange(4) and sum(1 for o in shelf.open_orders() if o.iceberg) < 9
        part = rng.randint(-(-steps // 10), steps) if hides else 0
        icebergs += hides
        before = len(shelf.fills)
        request = replace(order(side, price, steps, str(number)), iceberg=part * STEP)
        exchange.spot.place(maker, request)
        got = [
            (int(shelf.orders[f.order_id].client_order_id), f.price // TICK, f.quantity // STEP)
            for f in shelf.fills[before:]
            if f.maker
        ]
        assert got == naive.place(number, side, price, steps, part)
        shown = sum(level.steps for level in listing.book.bids.levels.values())
        assert shown == sum(row[3] for row in naive.resting if row[1])
    assert icebergs > 500
    assert conserved(exchange)


def test_user_waits_behind_background_liquidity_that_was_there_first() -> None:
    exchange, listing = empty_exchange()
    user = funded(exchange, "user")
    listing.book.bids.add(9_990, 50)
    placed, _ = exchange.spot.place(user, order("BUY", 9_990, 10, "q"))
    listing.book.bids.add(9_990, 50)
    exchange.spot.background_take(listing, "SELL", 9_990, 50)
    assert placed.executed == 0
    exchange.spot.background_take(listing, "SELL", 9_990, 4)
    assert placed.executed == 4
    exchange.spot.background_take(listing, "SELL", 9_990, 20)
    assert placed.status is Status.FILLED


def test_better_trade_price_frees_the_difference_to_the_limit() -> None:
    exchange, listing = empty_exchange()
    user = funded(exchange, "user", usdt=1_000, btc=0)
    listing.book.asks.add(9_000, 1_000)  # one coin at 90.00
    placed, _ = exchange.spot.place(user, order("BUY", 10_000, 2_000, "b"))
    # Bought 1 at 90, still bidding for 1 at 100: 90 spent, 100 locked, 810 free.
    assert placed.executed == 1_000
    assert (user.balance("USDT").free, user.balance("USDT").locked) == (810 * SCALE, 100 * SCALE)
    assert user.balance("BTC").free == SCALE - SCALE // 1000


def test_commission_is_cut_not_rounded() -> None:
    exchange, listing = empty_exchange()
    user = funded(exchange, "user", usdt=1_000, btc=0)
    user.taker_rate = 75_000  # 0.075 %
    listing.book.asks.add(9_000, 10_000)
    exchange.spot.place(user, order("BUY", 9_000, 7, "b"))
    # 0.007 x 0.00075 = 0.00000525 exactly; with 1 step 0.00000075; with rate 0.0007501 it would be cut.
    assert exchange.accounts.fees.balance("BTC").free == 525
    user.taker_rate = 75_019
    exchange.spot.place(user, order("BUY", 9_000, 7, "c"))
    # 700000 x 75019 / 1e8 = 525.133 units: the fraction stays with the user.
    assert exchange.accounts.fees.balance("BTC").free == 525 + 525


def test_overdrawing_is_an_invariant_violation_not_a_debt() -> None:
    account = Account("a", "a", 1)
    account.credit("USDT", 5)
    with pytest.raises(InvariantViolation):
        account.lock("USDT", 6)
    assert account.balance("USDT") == Balance(5, 0)


@given(st.integers(0, 10**24))
def test_amounts_survive_being_written_and_read(units: int) -> None:
    assert parse_units(units_text(units)) == units


@pytest.mark.parametrize(
    "text", ["", " 1", "1e5", "-1", "+1", "1.", ".5", "1,0", "٣", "NaN", "0x1", "1" * 21]
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(MalformedDecimal):
        parse_units(text)


def test_ninth_decimal_is_too_precise_unless_it_is_zero() -> None:
    assert parse_units("1.000000010") == 100_000_001
    with pytest.raises(TooPrecise):
        parse_units("1.000000001")


def test_every_built_in_symbol_keeps_notionals_exact() -> None:
    for symbol in _CATALOG:
        instrument, _ = catalog_instrument(symbol)
        assert instrument.tick * instrument.step % SCALE == 0
        assert instrument.quote_per >= 1


def test_market_clock_catches_up_with_the_wall_and_then_keeps_its_pace() -> None:
    wall = [1_000_000]
    clock = MarketClock(1_000_000 - 9_000, speed=10.0, catch_up=True, wall=lambda: wall[0])
    wall[0] += 500
    clock.move_to(clock.due())
    assert clock.now_ms == 1_000_000 - 9_000 + 5_000
    wall[0] += 1_000
    clock.move_to(clock.due())
    assert (clock.now_ms, clock.speed) == (wall[0], 1.0)
    wall[0] += 700
    clock.move_to(clock.due())
    assert clock.now_ms == wall[0]


def test_market_clock_without_catch_up_runs_past_the_wall() -> None:
    wall = [1_000_000]
    clock = MarketClock(1_000_000, speed=10.0, wall=lambda: wall[0])
    wall[0] += 1_000
    clock.move_to(clock.due())
    assert clock.now_ms == 1_010_000
