"""Rules about bars."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trading.domain.ports import KlineRecord
from universe.domain.bars import Gap, ImpossibleBar, check_bar, closed_bars, find_gaps

MINUTE_NS = 60 * 10**9
GOOD = KlineRecord(
    open_time_ms=1_700_000_040_000,
    open=Decimal("10"),
    high=Decimal("12"),
    low=Decimal("9"),
    close=Decimal("11"),
    volume=Decimal("5"),
    close_time_ms=1_700_000_099_999,
    quote_volume=Decimal("52"),
    trades=3,
    taker_base=Decimal("5"),
    taker_quote=Decimal("52"),
)


def test_a_possible_bar_is_accepted() -> None:
    check_bar(GOOD, "1m")


def test_a_bar_without_trades_is_accepted() -> None:
    flat = Decimal("10")
    still = replace(
        GOOD, open=flat, high=flat, low=flat, close=flat, volume=Decimal(0),
        quote_volume=Decimal(0), trades=0, taker_base=Decimal(0),
    )  # fmt: skip
    check_bar(still, "1m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"high": Decimal("10.9")}, "outside low"),
        ({"low": Decimal("10.1")}, "outside low"),
        ({"open": Decimal(0), "low": Decimal(0)}, "positive"),
        ({"close": Decimal("NaN")}, "NaN"),
        ({"high": Decimal("Infinity")}, "Infinity"),
        ({"volume": Decimal("-1"), "taker_base": Decimal("-1")}, "volume of zero or more"),
        ({"taker_base": Decimal("5.1")}, "above volume"),
        ({"open_time_ms": 1_700_000_040_001}, "grid"),
        ({"close_time_ms": 1_700_000_100_001}, "not within"),
        ({"close_time_ms": 1_700_000_040_000}, "not within"),
        ({"volume": Decimal("5.00000000001")}, "10 after the point"),
        ({"high": Decimal(10) ** 18}, "18 digits"),
        ({"trades": -1}, "trade count"),
    ],
)
def test_an_impossible_bar_is_refused_with_its_reason(change: dict[str, object], words: str) -> None:
    with pytest.raises(ImpossibleBar, match=words):
        check_bar(replace(GOOD, **change), "1m")  # type: ignore[arg-type]


def test_the_newest_bar_of_an_answer_is_never_taken_for_closed() -> None:
    later = replace(GOOD, open_time_ms=GOOD.open_time_ms + 60_000)
    assert closed_bars([later, GOOD]) == [GOOD]
    assert closed_bars([GOOD]) == []


def test_holes_are_found_with_their_bounds() -> None:
    minutes = [0, 1, 4, 5, 7]
    assert find_gaps([m * MINUTE_NS for m in minutes], "1m") == [
        Gap(2 * MINUTE_NS, 3 * MINUTE_NS, 2),
        Gap(6 * MINUTE_NS, 6 * MINUTE_NS, 1),
    ]


def test_a_series_out_of_order_has_no_gaps_but_an_error() -> None:
    with pytest.raises(ValueError, match="ascending"):
        find_gaps([MINUTE_NS, 0], "1m")
