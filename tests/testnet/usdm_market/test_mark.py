"""The mark price rule, impact prices, candles and the funding schedule."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from testnet.klines import MINUTE_MS
from testnet.listing import Listing
from testnet.usdm.catalog import catalog_perpetual
from testnet.usdm.impact import impact_prices
from testnet.usdm.mark import MarkBoard, terms_of
from testnet.usdm.sheet import BASIS_MS, Sheet
from testnet.values import SCALE

HOUR_MS = 3_600_000
MIDNIGHT = 1_750_032_000_000  # 2025-06-16 00:00 UTC
INDEX = 60_000 * SCALE


def perpetual() -> Listing:
    return Listing(*catalog_perpetual("BTCUSDT"))


def moved(sheet: Sheet, time_ms: int, *, index: int, middle: int, last: int) -> int:
    listing = perpetual()
    sheet.move(terms_of(listing), time_ms, index=index, middle=middle, last=last, impact=(index, index))
    return sheet.mark


def test_mark_is_the_median_of_carried_index_averaged_basis_and_last_trade() -> None:
    sheet = Sheet()
    sheet.last_rate = 100_000  # 0.1 % an interval
    sheet.next_funding_ms = MIDNIGHT + 8 * HOUR_MS
    sheet.updated_ms, sheet.basis = MIDNIGHT + 4 * HOUR_MS - 1_000, 90 * SCALE
    at = MIDNIGHT + 4 * HOUR_MS  # half the interval to go: price 1 = 60,000 * (1 + 0.1 % / 2) = 60,030
    middle = INDEX + 90 * SCALE  # price 2 = 60,000 + 90
    assert moved(sheet, at, index=INDEX, middle=middle, last=60_060 * SCALE) == 60_060 * SCALE
    assert moved(sheet, at, index=INDEX, middle=middle, last=61_000 * SCALE) == 60_090 * SCALE
    assert moved(sheet, at, index=INDEX, middle=middle, last=59_000 * SCALE) == 60_030 * SCALE


def test_basis_is_averaged_over_two_and_a_half_minutes() -> None:
    sheet = Sheet()
    moved(sheet, MIDNIGHT, index=INDEX, middle=INDEX, last=INDEX)
    moved(sheet, MIDNIGHT + BASIS_MS, index=INDEX, middle=INDEX + 100 * SCALE, last=INDEX)
    assert (
        sheet.basis == 50 * SCALE
    )  # one full length later: half way, by basis * elapsed / (length + elapsed)
    for step in range(1, 601):
        now = MIDNIGHT + BASIS_MS + step * 1_000
        moved(sheet, now, index=INDEX, middle=INDEX + 100 * SCALE, last=INDEX)
    # Ten minutes of one-second steps: 1 - 0.5 * (150 / 151)^600 = 0.9908
    assert 99 * SCALE < sheet.basis < 99.2 * SCALE


def test_first_look_takes_the_basis_as_it_is() -> None:
    sheet = Sheet()
    moved(sheet, MIDNIGHT, index=INDEX, middle=INDEX + 100 * SCALE, last=INDEX)
    assert 99 * SCALE < sheet.basis <= 100 * SCALE


def test_impact_price_is_the_mean_price_of_the_impact_notional() -> None:
    listing = perpetual()
    book = listing.book
    # 25,000 USDT: 0.2 BTC at 60,000 = 12,000, the remaining 13,000 at 59,000 is 0.220 BTC (12,980).
    book.bids.add(600_000, 200)
    book.bids.add(590_000, 5_000)
    book.asks.add(601_000, 10_000)
    bid, ask = impact_prices(listing, terms_of(listing))
    assert bid == (12_000 + 12_980) * SCALE * 1_000 // 420
    assert ask == 60_100 * SCALE


def test_empty_sides_make_no_premium() -> None:
    listing = perpetual()
    bid, ask = impact_prices(listing, terms_of(listing))
    assert bid == 0
    assert ask == listing.instrument.max_price


@dataclass
class Heard:
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    fundings: list[tuple[int, int, int]] = field(default_factory=list)

    def marked(self, listing: Listing, mark_units: int, index_units: int, time_ms: int) -> None:
        self.marks.append((mark_units, index_units, time_ms))

    def funding_due(self, listing: Listing, rate_1e8: int, mark_units: int, time_ms: int) -> None:
        self.fundings.append((rate_1e8, mark_units, time_ms))


def quoted() -> Listing:
    listing = perpetual()
    listing.book.bids.add(600_500, 1_000)  # 60,050: 0.0833 % above an index of 60,000
    listing.book.asks.add(600_600, 1_000)
    listing.tape.last_price = 600_500
    return listing


def test_funding_is_due_at_00_08_and_16_of_market_time_with_the_rate_of_the_premium() -> None:
    records: list[dict[str, object]] = []
    board, heard, listing = MarkBoard(records.append), Heard(), quoted()
    board.listeners.append(heard)
    board.funding_listeners.append(heard)
    start = MIDNIGHT - 30 * MINUTE_MS
    for minute in range(1, 17 * 60 + 1):
        board.update(listing, INDEX, start + minute * MINUTE_MS)
        board.close_minute(listing, start + minute * MINUTE_MS)
    assert [row[2] for row in heard.fundings] == [MIDNIGHT, MIDNIGHT + 8 * HOUR_MS, MIDNIGHT + 16 * HOUR_MS]
    # P = 50 / 60,000 = 0.00083333; F = P - 0.05 % = 0.00033333.
    assert {row[0] for row in heard.fundings} == {33_333}
    assert len(heard.marks) == 17 * 60
    assert [row["t"] for row in records].count("mark") == 17 * 60
    assert [row["t"] for row in records].count("rate") == 3
    assert [row.time_ms for row in board.sheet("usdm:BTCUSDT").history] == [row[2] for row in heard.fundings]


def test_recorded_rate_takes_the_place_of_the_computed_one() -> None:
    board, heard, listing = MarkBoard(lambda record: None), Heard(), quoted()
    board.funding_listeners.append(heard)
    board.sheet("usdm:BTCUSDT").recorded[MIDNIGHT] = -12_345
    for minute in range(-5, 1):
        board.update(listing, INDEX, MIDNIGHT + minute * MINUTE_MS)
        board.close_minute(listing, MIDNIGHT + minute * MINUTE_MS)
    assert [(rate, at) for rate, _, at in heard.fundings] == [(-12_345, MIDNIGHT)]


def test_board_continues_from_its_state_and_its_journal() -> None:
    records: list[dict[str, object]] = []
    live, listing = MarkBoard(records.append), quoted()
    start = MIDNIGHT - 30 * MINUTE_MS
    state: dict[str, object] = {}
    for minute in range(1, 61):
        if minute == 21:
            state, records[:] = json.loads(json.dumps(live.state())), []
        live.update(listing, INDEX + minute * SCALE, start + minute * MINUTE_MS)
        live.close_minute(listing, start + minute * MINUTE_MS)
    again = MarkBoard(lambda record: None)
    again.restore(state)
    handlers = again.handlers()
    for record in records:
        handlers[str(record["t"])](record)
    key = listing.instrument.key
    again.sheet(key).resume(live.sheet(key).running())
    assert json.dumps(again.state()) == json.dumps(live.state())
    assert len(again.sheet(key).klines["mark"].closed["1m"]) == 60


def test_candles_take_in_every_mark_of_their_minute() -> None:
    board, listing = MarkBoard(lambda record: None), quoted()
    for second, dollars in ((10, 0), (20, 40), (30, -60), (60, 5)):
        board.update(listing, INDEX + dollars * SCALE, MIDNIGHT + second * 1_000)
    board.close_minute(listing, MIDNIGHT + MINUTE_MS)
    bar = board.sheet(listing.instrument.key).klines["index"].closed["1m"][0]
    assert [price // SCALE for price in bar[1:5]] == [60_000, 60_040, 59_940, 60_005]
    assert bar.open_ms == MIDNIGHT
