"""Reading recorded streams: a small one by arithmetic, the real ones by what must hold of any book."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from testnet.market.compare.recording import BadRecording, RecordedBook, messages, portray

TICK = 1_000_000  # 0.01
T0 = 1_700_000_000_000


def line(at_ms: int, stream: str, data: dict[str, Any]) -> str:
    body = data if not stream else {"stream": f"xyzusdt@{stream}", "data": data}
    return f"{(T0 + at_ms) * 1_000_000} {json.dumps(body)}\n"


def ticker(at_ms: int, bid: str, bid_qty: str, ask: str, ask_qty: str) -> str:
    return line(at_ms, "bookTicker", {"u": 1, "s": "XYZUSDT", "b": bid, "B": bid_qty, "a": ask, "A": ask_qty})


def trade(at_ms: int, time_ms: int, price: str, quantity: str, *, is_buy: bool) -> str:
    data = {
        "e": "trade",
        "E": 0,
        "s": "XYZUSDT",
        "t": 1,
        "p": price,
        "q": quantity,
        "T": time_ms,
        "m": not is_buy,
    }
    return line(at_ms, "trade", data)


def depth(at_ms: int, first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    data = {"e": "depthUpdate", "E": 0, "s": "XYZUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return line(at_ms, "depth@100ms", data)


SNAPSHOT = {
    "lastUpdateId": 10,
    "bids": [["100.00", "2"], ["99.99", "1"]],
    "asks": [["100.01", "1"], ["100.05", "4"]],
}
LINES = [
    line(0, "", SNAPSHOT),
    ticker(0, "100.00", "2", "100.01", "1"),
    trade(20, 1, "100.01", "0.5", is_buy=True),
    trade(20, 1, "100.05", "0.1", is_buy=True),
    depth(30, 11, 13, [["99.98", "3"]], [["100.05", "0"]]),
    trade(310, 301, "100.00", "1", is_buy=False),
    ticker(450, "100.00", "2", "100.03", "1"),
    ticker(1_000, "100.00", "2", "100.03", "1"),
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "small.gz"
    with gzip.open(path, "wt") as out:
        out.writelines(LINES)
    return path


@pytest.fixture
def figures(recording: Path) -> dict[str, float]:
    return portray(recording, "XYZUSDT", TICK, warm_up_s=0, seconds=None).figures()


def test_spread_is_weighted_by_the_time_it_stood(figures: dict[str, float]) -> None:
    # Sampled every 100 ms from 0 to 1000: five times one tick, six times three.
    assert figures["spread_one_tick_share"] == pytest.approx(5 / 11)
    assert figures["spread_ticks_p10"] == 1
    assert figures["spread_ticks_p50"] == 3
    assert figures["spread_bps_p90"] == pytest.approx(0.03 / 100.015 * 1e4)


def test_touch_is_the_notional_of_both_best_levels(figures: dict[str, float]) -> None:
    # 11 bids of 200, 5 asks of 100.01 and 6 of 100.03: the median of 22 lies halfway between 100.03 and 200.
    assert figures["touch_quote_p50"] == pytest.approx((100.03 + 200) / 2)
    assert figures["touch_changed_share"] == pytest.approx(1 / 10)


def test_depth_sums_levels_within_a_distance_of_the_middle(figures: dict[str, float]) -> None:
    # At 0 ms (middle 100.005): bids 200 + 99.99, asks 100.01 + 400.20 within 5 bps.
    # At 1000 ms (middle 100.015): bids 200 + 99.99 + 299.94, asks 100.01 (100.05 was cancelled).
    samples = sorted([299.99, 500.21, 599.93, 100.01])
    assert figures["depth_5bps_quote_p50"] == pytest.approx((samples[1] + samples[2]) / 2)
    # Within 1 bp: bid 200 and ask 100.01, later (the bid is 1.5 bps away) only the ask: 0, 100.01, 100.01, 200,
    # and the 90 % quantile lies 0.7 of the way from the third to the fourth.
    assert figures["depth_1bps_quote_p90"] == pytest.approx(100.01 + 0.7 * (200 - 100.01))
    assert figures["level_updates_per_s"] == 2


def test_trades_of_one_millisecond_and_direction_are_one_order(figures: dict[str, float]) -> None:
    assert figures["trades_per_s"] == 3
    assert figures["trade_quote_p50"] == pytest.approx(50.005)
    assert figures["trade_mean_quote"] == pytest.approx((50.005 + 10.005 + 100) / 3)
    assert figures["taker_orders_per_s"] == 2
    assert figures["order_quote_p50"] == pytest.approx((60.01 + 100) / 2)
    assert figures["order_gap_ms_p50"] == 300
    assert figures["buy_share"] == pytest.approx(2 / 3)


def test_only_the_wanted_part_and_symbol_are_sampled(recording: Path) -> None:
    part = portray(recording, "XYZUSDT", TICK, warm_up_s=0.1, seconds=0.3)
    assert part.figures()["spread_one_tick_share"] == 1
    assert part.figures()["trades_per_s"] * part.seconds == pytest.approx(1)
    with pytest.raises(BadRecording, match="nothing to sample for ABCUSDT"):
        portray(recording, "ABCUSDT", TICK, warm_up_s=0, seconds=None)


def test_updates_before_the_snapshot_are_applied_after_it_when_they_are_newer() -> None:
    book = RecordedBook()
    book.apply({"U": 8, "u": 9, "b": [["99.00", "7"]], "a": []})
    book.apply({"U": 10, "u": 11, "b": [["100.00", "5"]], "a": []})
    book.load(SNAPSHOT)
    assert book.update_id == 11
    assert book.bids == {100 * 10**8: 5 * 10**8, 9999 * 10**6: 10**8}


def test_an_update_older_than_the_book_changes_nothing() -> None:
    book = RecordedBook()
    book.load(SNAPSHOT)
    assert book.apply({"U": 4, "u": 10, "b": [["100.00", "0"]], "a": []}) == 0
    assert book.best() == (100 * 10**8, 10001 * 10**6)


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (depth(1_100, 15, 16, [], []), "line 9: depth updates 14 to 14 are missing"),
        ("yesterday {}\n", "line 9: expected a time and a stream message"),
        (line(1_100, "trade", {"e": "trade", "p": "1"}), "line 9: unreadable message"),
        (ticker(1_100, "1e2", "1", "2", "1"), "line 9: unreadable message"),
    ],
)
def test_a_damaged_recording_is_refused_with_its_line(tmp_path: Path, extra: str, complaint: str) -> None:
    path = tmp_path / "damaged.txt"
    path.write_text("".join([*LINES, extra]))
    with pytest.raises(BadRecording, match=complaint):
        portray(path, "XYZUSDT", TICK, warm_up_s=0, seconds=None)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["spot_btcusdt", "spot_ethusdt", pytest.param("usdm_btcusdt", marks=pytest.mark.long)]
)
def test_a_real_book_is_never_crossed_and_agrees_with_its_ticker(real_data: Path, name: str) -> None:
    path = real_data / "streams" / f"hftbacktest_{name}_20240808.gz"
    book, tops = RecordedBook(), {}
    checked = 0
    for _, _, stream, data in messages(path):
        if not stream:
            book.load(data)
        elif stream.endswith("@bookTicker"):
            tops[data["u"]] = (float(data["b"]), float(data["a"]))
        elif "@depth" in stream:
            book.apply(data)
            best = book.best()
            if not book.is_complete or best is None:
                continue
            assert best[0] < best[1], data["u"]
            # Where both streams speak of the same update, they must tell the same touch.
            if book.update_id in tops:
                assert (best[0] / 1e8, best[1] / 1e8) == tops[book.update_id]
                checked += 1
    assert checked > 100
