"""Thousands of random operations: money is conserved, positions mirror, reducing orders only reduce."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from testnet.accounts import INSURANCE, VENUE_ACCOUNTS, Account
from testnet.clock import MarketClock
from testnet.errors import ApiError
from testnet.exchange import Exchange
from testnet.journal import Journal
from testnet.orders import NewOrder, Order, PositionTerms
from testnet.persistence import fill_rows, order_rows
from testnet.recovery import Recovery
from testnet.roles import Settled
from testnet.snapshots import snapshot
from testnet.usdm.algo import TYPES, AlgoOrder
from testnet.usdm.clearing import PLAIN, is_reducing
from testnet.values import SCALE
from tests.testnet.usdm.conftest import START_MS, Desk, new_desk

SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Trader:
    """Draws and carries out one operation after another."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk = desk
        self.rng = random.Random(seed)
        self.market = desk.exchange.usdm_market
        self.marks = {symbol: self._start(symbol) for symbol in SYMBOLS}
        self.users = [desk.account(usdt) for usdt in ("30000", "2000", "500000", "0")]
        for symbol in SYMBOLS:
            self._mark(symbol)
        self.market.settings.set_hedge(self.users[2].account_id, hedge=True)
        self.refused: dict[int, int] = {}

    def _start(self, symbol: str) -> int:
        listing = self.desk.listing(symbol)
        return listing.tape.last_price

    def _mark(self, symbol: str) -> None:
        listing = self.desk.listing(symbol)
        units = self.marks[symbol] * listing.instrument.tick
        self.desk.exchange.marks.sheet(listing.instrument.key).mark = units
        self.market.marked(listing, units, units, self.desk.exchange.now_ms())

    def step(self) -> None:
        """One operation; a refusal is an answer like any other."""
        rng = self.rng
        self.desk.exchange.clock.now_ms += rng.randrange(1, 2_000)
        actions = (
            (30, self._order),
            (6, self._cancel),
            (6, self._modify),
            (12, self._liquidity),
            (10, self._take),
            (14, self._move_mark),
            (2, self._funding),
            (3, self._setting),
            (3, self._transfer),
            (8, self._algo),
            (3, self._cancel_algo),
            (2, self._countdown),
        )
        action = rng.choices([a for _, a in actions], [w for w, _ in actions])[0]
        try:
            action()
        except ApiError as error:
            self.refused[error.code] = self.refused.get(error.code, 0) + 1

    def _pick(self) -> tuple[Account, str, Any]:
        symbol = self.rng.choice(SYMBOLS)
        return self.rng.choice(self.users), symbol, self.desk.listing(symbol)

    def _near(self, symbol: str, spread: float = 0.01) -> int:
        return max(1, round(self.marks[symbol] * (1 + self.rng.gauss(0, spread))))

    def _size(self, symbol: str) -> int:
        instrument = self.desk.listing(symbol).instrument
        notional = self.rng.choice((20, 200, 1_000, 10_000, 50_000)) * self.rng.uniform(0.5, 2)
        return max(1, int(notional * SCALE / (self.marks[symbol] * instrument.quote_per)))

    def _order(self) -> None:
        rng = self.rng
        user, symbol, listing = self._pick()
        instrument, futures = listing.instrument, self.desk.futures(user)
        is_market = rng.random() < 0.3
        hedge = futures.hedge if rng.random() < 0.97 else not futures.hedge
        side = rng.choice(("LONG", "SHORT")) if hedge else "BOTH"
        request = NewOrder(
            symbol=symbol,
            side=rng.choice(("BUY", "SELL")),
            type="MARKET" if is_market else "LIMIT",
            time_in_force="GTC" if is_market else rng.choice(("GTC", "GTC", "IOC", "FOK", "GTX", "GTD")),
            price=0 if is_market else self._near(symbol) * instrument.tick,
            quantity=self._size(symbol) * instrument.step,
            quote_quantity=0,
            client_order_id=rng.choice(("", "", f"c{rng.randrange(20)}")),
            response_type="ACK",
            stp_mode=rng.choice(("NONE", "NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")),
            position=PositionTerms(
                position_side=side,
                reduce_only=side == "BOTH" and rng.random() < 0.3,
                price_match="NONE" if is_market or rng.random() < 0.9 else rng.choice(("OPPONENT", "QUEUE")),
                good_till_ms=rng.choice((0, 5_000)),
            ),
        )
        self.market.place(user, request)

    def _open(self) -> Order | None:
        orders = [o for user in self.users for o in self.market.engine.shelf(user.account_id).open_orders()]
        return self.rng.choice(orders) if orders else None

    def _cancel(self) -> None:
        order = self._open()
        if order is not None:
            self.market.engine.cancel(order, "x")

    def _modify(self) -> None:
        order = self._open()
        if order is None:
            return
        instrument = order.instrument
        request = NewOrder(
            symbol=instrument.symbol,
            side=order.side,
            type=order.type,
            time_in_force=order.time_in_force,
            price=self._near(instrument.symbol) * instrument.tick,
            quantity=self._size(instrument.symbol) * instrument.step,
            quote_quantity=0,
            client_order_id=order.client_order_id,
            response_type="ACK",
            stp_mode=order.stp_mode,
            position=order.position,
        )
        self.market.modify(self.desk.exchange.accounts.by_id[order.account_id], order, request)

    def _liquidity(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        listing = self.desk.listing(symbol)
        if self.rng.random() < 0.2:
            self.desk.clear_book(symbol)
        gap = max(1, self.marks[symbol] // self.rng.choice((200, 2_000)))
        for side, price in (("BUY", self.marks[symbol] - gap), ("SELL", self.marks[symbol] + gap)):
            best = listing.book.contra(side).best()
            if best is None or (price < best if side == "BUY" else price > best):
                listing.book.side(side).add(price, self._size(symbol))

    def _take(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        side = self.rng.choice(("BUY", "SELL"))
        self.market.engine.background_take(
            self.desk.listing(symbol), side, self._near(symbol), self._size(symbol)
        )

    def _move_mark(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        spread = self.rng.choice((0.001, 0.005, 0.05))
        start = self.desk.listing(symbol).instrument.ticks(self.desk.listing(symbol).character.price)
        # Pulled back to where it started, so that sizes keep their meaning.
        self.marks[symbol] = (4 * self._near(symbol, spread) + start) // 5
        self._mark(symbol)

    def _funding(self) -> None:
        _, _, listing = self._pick()
        rate = self.rng.randrange(-300_000, 300_000)
        mark = self.marks[listing.instrument.symbol] * listing.instrument.tick
        self.market.funding_due(listing, rate, mark, self.desk.exchange.now_ms())

    def _setting(self) -> None:
        user, symbol, listing = self._pick()
        settings = self.market.settings
        kind = self.rng.randrange(4)
        if kind == 0:
            self.market.set_leverage(
                user.account_id, listing.instrument, self.rng.choice((1, 5, 20, 50, 125))
            )
        elif kind == 1:
            settings.set_margin_type(user.account_id, symbol, isolated=self.rng.random() < 0.6)
        elif kind == 2:
            settings.set_hedge(user.account_id, hedge=self.rng.random() < 0.5)
        else:
            side = self.rng.choice(("BOTH", "LONG", "SHORT"))
            amount = self.rng.randrange(1, 100) * SCALE
            self.market.move_margin(
                user.account_id, listing.instrument, side, self.rng.choice((1, 2)), amount
            )

    def _transfer(self) -> None:
        units = self.rng.randrange(-300 * SCALE, 500 * SCALE)
        self.market.transfer(self.rng.choice(self.users), "USDT", units)

    def _algo(self) -> None:
        rng = self.rng
        user, symbol, listing = self._pick()
        instrument, kind = listing.instrument, rng.choice(TYPES)
        trailing = kind == "TRAILING_STOP_MARKET"
        closes = kind in ("STOP_MARKET", "TAKE_PROFIT_MARKET") and rng.random() < 0.4
        side = rng.choice(("LONG", "SHORT")) if self.desk.futures(user).hedge else "BOTH"
        algo = AlgoOrder(
            algo_id=0,
            account_id=user.account_id,
            instrument=instrument,
            client_algo_id=f"a{rng.randrange(10**9)}",
            side=rng.choice(("BUY", "SELL")),
            position_side=side,
            type=kind,
            time_in_force="GTC",
            quantity=0 if closes else self._size(symbol) * instrument.step,
            price=self._near(symbol) * instrument.tick,
            trigger_price=0 if trailing else self._near(symbol) * instrument.tick,
            working_type=rng.choice(("MARK_PRICE", "CONTRACT_PRICE")),
            created_ms=self.desk.exchange.now_ms(),
            updated_ms=self.desk.exchange.now_ms(),
            close_position=closes,
            reduce_only=side == "BOTH" and (closes or rng.random() < 0.3),
            price_protect=rng.random() < 0.2,
            callback=rng.randrange(10, 300) if trailing else 0,
            activate_price=self._near(symbol) * instrument.tick if trailing and rng.random() < 0.5 else 0,
        )
        self.market.algos.check(algo)
        self.market.algos.add(algo)

    def _cancel_algo(self) -> None:
        rows = self.market.algos.open_orders(self.rng.choice(self.users).account_id)
        if rows:
            self.market.algos.cancel(self.rng.choice(rows))

    def _countdown(self) -> None:
        user, symbol, _ = self._pick()
        self.market.countdown.set(user.account_id, symbol, self.rng.choice((0, 1_000)))
        if self.rng.random() < 0.5:
            self.market.wall_tick(self.rng.choice((500, 2_000, 10_000)))

    def check(self) -> None:
        """What must hold after every operation."""
        self.desk.check_books()
        for user in self.users:
            futures = self.desk.futures(user)
            # Every change of a wallet has a row that says why.
            rows = self.market.income.of(user.account_id)
            assert sum(row.units for row in rows) == futures.wallet("USDT")
            asked: dict[tuple[str, str, str], int] = {}
            for order in self.market.engine.shelf(user.account_id).open_orders():
                terms = order.position or PLAIN
                if is_reducing(terms, order.side):
                    assert order.locked == 0
                    continue
                assert order.locked == order.remaining * order.price * order.instrument.quote_per
                key = (order.instrument.symbol, terms.position_side, order.side)
                asked[key] = asked.get(key, 0) + order.locked
            assert futures.asked == asked
            for position in futures.positions.values():
                assert (position.steps == 0) <= (position.cost == 0 and position.isolated == 0)
                assert position.steps * position.cost >= 0
                assert position.side != "LONG" or position.steps >= 0
                assert position.side != "SHORT" or position.steps <= 0
                if position.isolated:
                    assert position.symbol in futures.isolated
        total = sum(self.market.accounts.of(name).wallet("USDT") for name in VENUE_ACCOUNTS)
        assert total + sum(self.desk.wallet(user) for user in self.users) == sum(
            account.wallet("USDT") for account in self.market.accounts.by_id.values()
        )


def watch_reducing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Assert at every trade that a reducing order takes off its position exactly what it trades."""
    clearing, seen = desk.exchange.usdm_market.clearing, []
    book = clearing._book

    def checked(listing: Any, trade: Any, order: Order, *, is_maker: bool) -> Settled:
        terms = order.position or PLAIN
        futures = desk.exchange.usdm_market.accounts.of(order.account_id)
        before = futures.steps(order.instrument.symbol, terms.position_side)
        settled = book(listing, trade, order, is_maker=is_maker)
        if is_reducing(terms, order.side):
            after = futures.steps(order.instrument.symbol, terms.position_side)
            assert abs(after) == abs(before) - trade.steps
            assert after * before >= 0
            seen.append(trade.steps)
        return settled

    monkeypatch.setattr(clearing, "_book", checked)
    return seen


def state_of(exchange: Exchange) -> dict[str, Any]:
    """Everything that must survive: accounts, income, algos, orders and fills."""
    market = exchange.usdm_market
    state = market.state()
    state["algos"].pop("extremes")
    orders = sorted(market.engine.by_id.values(), key=lambda order: order.order_id)
    fills = [fill for shelf in market.engine.shelves.values() for fill in shelf.fills]
    rows = order_rows(orders)
    column = rows["names"].index("expiry_reason")
    for row in rows["rows"]:
        row[column] = ""
    accounts = sorted(state["accounts"], key=lambda row: row["id"])
    for account in accounts:
        account["positions"] = sorted(row for row in account["positions"] if row[2] or row[7])
        account["wallets"] = dict(sorted(account["wallets"].items()))
    return {
        "seq": exchange.seq,
        "market": {
            **state,
            "accounts": [a for a in accounts if any(a["wallets"].values()) or a["positions"]],
            "income": sorted(state["income"]),
        },
        "orders": rows["rows"],
        "fills": sorted(fill_rows(fills)["rows"]),
    }


def recovered(folder: Path) -> Exchange:
    exchange = Exchange(MarketClock(START_MS, speed=0.0), Journal(None), seed=3)
    recovery = Recovery(exchange)
    assert recovery.load(folder)
    return exchange


@pytest.mark.parametrize("seed", range(6))
def test_random_trading_conserves_money_and_mirrors_every_position(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = new_desk(None, *SYMBOLS)
    trader = Trader(desk, seed)
    reduced = watch_reducing(desk, monkeypatch)
    for number in range(4_000):
        trader.step()
        trader.check()
        if number == 1_000 and seed % 2:
            # From here on losses beyond the margin are borne by opposing users.
            fund = trader.market.accounts.of(INSURANCE)
            left = trader.market.margin.asset(fund, "USDT").withdrawable
            trader.market.transfer(desk.exchange.accounts.by_id[INSURANCE], "USDT", -left)
    shelves = [desk.exchange.usdm.shelf(user.account_id) for user in trader.users]
    assert sum(len(shelf.fills) for shelf in shelves) > 300
    assert len(reduced) > 20
    assert {row.kind for user in trader.users for row in trader.market.income.of(user.account_id)} >= {
        "REALIZED_PNL",
        "COMMISSION",
        "FUNDING_FEE",
        "TRANSFER",
    }


def test_random_trading_reaches_liquidations_and_every_refusal_that_matters() -> None:
    desk = new_desk(None, *SYMBOLS)
    trader = Trader(desk, 11)
    for _ in range(6_000):
        trader.step()
    forced = [o for o in desk.exchange.usdm.by_id.values() if o.client_order_id.startswith("autoclose-")]
    assert forced
    assert {-2019, -2022, -4061, -2021} <= set(trader.refused)


@pytest.mark.parametrize("seed", range(4))
def test_recovery_at_a_random_cut_equals_the_live_state(seed: int, tmp_path: Path) -> None:
    desk = new_desk(tmp_path, *SYMBOLS)
    trader = Trader(desk, 100 + seed)
    rng = random.Random(seed)
    for _ in range(3):
        for _ in range(rng.randrange(50, 400)):
            trader.step()
        desk.exchange.journal.flush()
        assert state_of(recovered(tmp_path)) == state_of(desk.exchange)


def test_recovery_from_a_snapshot_and_the_journal_after_it(tmp_path: Path) -> None:
    desk = new_desk(tmp_path, *SYMBOLS)
    trader = Trader(desk, 77)
    for _ in range(400):
        trader.step()
    desk.exchange.journal.replace(snapshot(desk.exchange, set()))
    for _ in range(300):
        trader.step()
    desk.exchange.journal.flush()
    assert state_of(recovered(tmp_path)) == state_of(desk.exchange)


def test_equal_seeds_write_equal_journals(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        desk = new_desk(tmp_path / name, *SYMBOLS)
        # Keys are drawn at random: these accounts have none.
        trader = Trader(desk, 5)
        for _ in range(500):
            trader.step()
        desk.exchange.journal.flush()
        lines = (tmp_path / name / "journal.jsonl").read_text().splitlines()
        texts.append([line for line in lines if '"t":"key"' not in line])
    assert texts[0] == texts[1]
