"""The market maker before a scripted book."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trading.domain.strategies import (
    Bar,
    Desired,
    Execution,
    Observation,
    ParameterError,
    WorkingQuote,
    parse_params,
    registry,
)
from trading.domain.strategies.quoting import exact_depths, reservation_quotes

MarketMaker = registry()["market_maker"]
S = 1_000_000_000
T0 = 1_700_000_000 * S
BAR = Bar(T0 - 60 * S, T0, 100.0, 100.0, 100.0, 100.0, 1.0)
BASE = {
    "lot": 1.0, "tick_size": 0.01, "inventory_limit": 5, "gamma": 0.05, "sigma_bps": 2.0, "decay": 0.4,
    "arrival": 0.8, "horizon_s": 300.0, "maker_fee_bps": 0.0, "allow_short": True, "requote_ticks": 0,
}  # fmt: skip


def params(**values: Any) -> Any:
    return parse_params(MarketMaker.Params, BASE | values)


def look(at_s: float = 0.0, bid: float = 99.99, ask: float = 100.01, size: float = 5.0, **more: Any) -> Any:
    seen = {"bid": bid, "ask": ask, "bid_size": size, "ask_size": size, "trigger": "book"} | more
    return Observation("BTCUSDT", "1m", BAR, T0 + int(at_s * S), **seen)


def step(observations: list[Observation], **values: Any) -> list[Desired]:
    strategy, told = MarketMaker(), params(**values)
    state, said = strategy.initial(told), []
    for seen in observations:
        state = strategy.load(strategy.dump(state))
        state, desired = strategy.step(told, state, seen)
        said.append(desired)
    return said


def test_quotes_stand_at_the_exact_depths_rounded_away_from_the_middle() -> None:
    bids, asks = exact_depths(5, 0.05, 2.0, 0.8, 0.4, 300.0)
    said = step([look(bid=99.50, ask=100.50)], widest_bps=200.0)[0]
    below, above = 100.0 * (1 - bids[5] / 1e4), 100.0 * (1 + asks[5] / 1e4)
    assert said.reason == "QUOTING"
    assert said.quotes.bid_price == math.floor(below * 100) / 100
    assert said.quotes.ask_price == math.ceil(above * 100) / 100
    assert (said.quotes.bid_size, said.quotes.ask_size) == (1.0, 1.0)


def test_avellaneda_stoikov_is_the_other_formula() -> None:
    quotes = reservation_quotes(0.0, 2.0, 0.05, 2.0, 0.4, 300.0)
    said = step([look(bid=99.0, ask=101.0, position=2.0)], formula="avellaneda_stoikov", widest_bps=300.0)[0]
    assert said.features["bid_depth_bps"] == pytest.approx(-quotes.bid, rel=1e-12)
    assert said.features["ask_depth_bps"] == pytest.approx(quotes.ask, rel=1e-12)


def test_inventory_pushes_the_bid_away_and_the_ask_closer() -> None:
    flat, long = (step([look(position=q)])[0].features for q in (0.0, 3.0))
    assert long["bid_depth_bps"] > flat["bid_depth_bps"]
    assert long["ask_depth_bps"] < flat["ask_depth_bps"]


def test_a_partial_lot_is_interpolated() -> None:
    two, three, between = (step([look(position=q)])[0].features["bid_depth_bps"] for q in (2.0, 3.0, 2.25))
    assert between == pytest.approx(two + 0.25 * (three - two), rel=1e-12)


def test_the_fee_widens_both_sides() -> None:
    free, paid = (step([look()], maker_fee_bps=fee)[0].quotes for fee in (0.0, 10.0))
    assert paid.bid_price == pytest.approx(free.bid_price - 0.10, abs=0.0101)
    assert paid.ask_price == pytest.approx(free.ask_price + 0.10, abs=0.0101)


@pytest.mark.parametrize(
    ("position", "bid_size", "ask_size"),
    [(4.5, 0.5, 1.0), (5.0, 0.0, 1.0), (7.0, 0.0, 1.0), (-5.0, 1.0, 0.0), (-4.75, 1.0, 0.25)],
)
def test_no_quote_could_pass_the_inventory_limit(position: float, bid_size: float, ask_size: float) -> None:
    quotes = step([look(position=position)])[0].quotes
    assert (quotes.bid_size, quotes.ask_size) == (bid_size, ask_size)


def test_on_spot_it_offers_only_what_it_holds() -> None:
    nothing, some = (step([look(position=held)], allow_short=False)[0].quotes.ask_size for held in (0.0, 0.4))
    assert (nothing, some) == (0.0, 0.4)


def test_inventory_counts_from_its_base() -> None:
    from_base = step([look(position=7.0)], inventory_base=7.0)[0].features
    flat = step([look()])[0].features
    assert from_base["inventory_lots"] == 0.0
    assert from_base["bid_depth_bps"] == flat["bid_depth_bps"]


def test_quotes_never_cross_the_book() -> None:
    # Long to the brim, the ask wants to be below the best bid; post-only it stands one tick above it.
    quotes = step([look(bid=99.99, ask=100.30, position=5.0)], formula="avellaneda_stoikov")[0].quotes
    assert quotes.ask_price == 100.00
    quotes = step([look(bid=99.70, ask=100.01, position=-5.0)], formula="avellaneda_stoikov")[0].quotes
    assert quotes.bid_price == 100.00


def test_a_quote_that_is_near_enough_keeps_its_place_in_the_queue() -> None:
    fresh = step([look()])[0].quotes
    working = WorkingQuote("BUY", round(fresh.bid_price - 0.01, 2), 0.8)
    kept = step([look(quotes=(working,))], requote_ticks=1)[0].quotes
    replaced = step([look(quotes=(working,))], requote_ticks=0)[0].quotes
    assert (kept.bid_price, kept.bid_size) == (working.price, 0.8)
    assert (replaced.bid_price, replaced.bid_size) == (fresh.bid_price, 1.0)


@pytest.mark.parametrize(
    "seen",
    [look(bid=0.0), look(ask=0.0), look(bid=100.0, ask=100.0), look(size=0.0)],
    ids=["no bid", "no ask", "a bar without a book", "nothing on it"],
)
def test_a_book_without_two_sides_gets_no_quotes(seen: Observation) -> None:
    said = step([seen])[0]
    assert said.quotes is None
    assert said.reason == "NO_TWO_SIDED_BOOK"


def test_a_book_that_stops_changing_is_stale_and_a_change_brings_the_quotes_back() -> None:
    said = step([look(0), look(4), look(5.1), look(5.2, bid=99.98)], stale_s=5.0)
    assert [one.reason for one in said] == ["QUOTING", "QUOTING", "STALE_BOOK", "QUOTING"]
    assert said[2].quotes is None


def test_a_wide_book_gets_no_quotes() -> None:
    said = step([look(bid=99.0, ask=101.0)], widest_bps=100.0)[0]
    assert (said.reason, said.quotes) == ("WIDE_SPREAD", None)


def test_a_jump_of_the_middle_pulls_the_quotes_until_it_is_forgotten() -> None:
    quiet = [look(i, bid=99.99 - 0.001 * (i % 2)) for i in range(12)]
    loud = [look(12, bid=100.99, ask=101.01)]
    later = [look(13 + i, bid=100.99 - 0.001 * (i % 2), ask=101.01) for i in range(120)]
    said = step([*quiet, *loud, *later], volatility_spike=4.0, sigma_bps=2.0)
    assert {one.reason for one in said[:12]} == {"QUOTING"}
    assert (said[12].reason, said[12].quotes) == ("VOLATILITY_SPIKE", None)
    assert said[-1].reason == "QUOTING"
    # A jump of ln(101 / 100) = 99.5 bps in one second, weight 1 - exp(-1/30) of a squared bps per second.
    assert said[12].features["sigma_bps"] == pytest.approx(99.5 * math.sqrt(1 - math.exp(-1 / 30)), rel=0.01)


def test_a_jump_that_nobody_watched_is_no_volatility() -> None:
    quiet = [look(i, bid=99.99 - 0.001 * (i % 2)) for i in range(12)]
    said = step([*quiet, look(30, bid=100.99, ask=101.01)], stale_s=5.0)
    assert said[-1].reason == "QUOTING"
    assert said[-1].features["sigma_bps"] == 0.0


def bought(at_s: float, price: float = 100.0) -> Execution:
    return Execution(1.0, price, 0.0, True, T0 + int(at_s * S))


def test_a_run_of_fills_from_one_side_pauses_it() -> None:
    seen = [look(i, bid=99.99 - 0.001 * i, fills=(bought(i),)) for i in range(4)]
    after = [look(4 + i, bid=99.9 - 0.001 * i) for i in range(32)]
    said = step([*seen, *after], run_fills=4, run_window_s=10.0, pause_s=30.0)
    assert [one.reason for one in said[:4]] == ["QUOTING"] * 3 + ["ONE_SIDED_FLOW"]
    assert all(one.quotes is None for one in said[3:33])
    assert said[33].reason == "QUOTING"  # the pause began at second 3


def test_fills_from_both_sides_are_no_run() -> None:
    sold = Execution(-1.0, 100.0, 0.0, True, T0)
    said = step([look(fills=(bought(0), sold, bought(0), sold, bought(0)))], run_fills=4)
    assert said[0].reason == "QUOTING"


def test_losing_to_every_taker_pauses_it() -> None:
    # Bought at 100, and 5 s later the middle is 99.9: ten basis points against us, five times over.
    fills = tuple(bought(i * 0.001) for i in range(3)) + tuple(
        Execution(-1.0, 99.8, 0.0, True, T0 + i) for i in range(3)
    )
    fell = look(5.5, bid=99.89, ask=99.91)
    said = step([look(0, fills=fills), fell], toxic_fills=5, toxic_bps=5.0, run_fills=64)
    assert said[0].reason == "QUOTING"
    assert (said[1].reason, said[1].quotes) == ("ADVERSE_SELECTION", None)


def test_a_fill_is_judged_after_its_time_and_not_before() -> None:
    fell = {"bid": 99.89, "ask": 99.91}
    said = step([look(0, fills=(bought(0),)), look(4.9, **fell), look(5.0, **fell)], markout_s=5.0)
    assert [one.features["markout_bps"] for one in said] == pytest.approx([0.0, 0.0, -10.0], abs=1e-9)


def test_a_fill_the_middle_agrees_with_is_not_toxic() -> None:
    fills = tuple(bought(0, 99.9) for _ in range(5))
    said = step([look(0, fills=fills), look(5.5, bid=99.98)], toxic_fills=5, toxic_bps=5.0, run_fills=64)
    assert said[1].reason == "QUOTING"
    assert said[1].features["markout_bps"] > 0.0


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"formula": "guess"}, "formula"),
        ({"lot": 0.0}, "lot"),
        ({"inventory_limit": 0}, "inventory_limit"),
        ({"gamma": 10.0, "sigma_bps": 1000.0, "inventory_limit": 100, "arrival": 1e-6, "decay": 1000.0,
          "horizon_s": 86_400.0}, "gamma"),
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ParameterError) as refused:
        params(**values)
    assert refused.value.field == field


def test_on_spot_it_first_bids_for_its_base_inventory_at_the_best_bid() -> None:
    said = step([look()], allow_short=False, inventory_base=3.0)[0]
    assert said.reason == "STOCKING"
    assert (said.quotes.bid_price, said.quotes.bid_size) == (99.99, 3.0)
    assert said.quotes.ask_size == 0.0


def test_a_bid_for_inventory_is_left_in_its_place_while_it_is_near() -> None:
    working = WorkingQuote("BUY", 99.99, 2.4)
    seen = look(bid=100.00, quotes=(working,), position=0.6)
    said = step([seen], allow_short=False, inventory_base=3.0, requote_ticks=1)[0]
    assert (said.quotes.bid_price, said.quotes.bid_size) == (99.99, 2.4)


def test_once_stocked_it_sells_as_well_and_does_not_buy_back_at_the_touch() -> None:
    seen = [look(0), look(1, position=2.7, bid=99.98), look(2, position=0.5, bid=99.99)]
    said = step(seen, allow_short=False, inventory_base=3.0)
    assert [one.reason for one in said] == ["STOCKING", "QUOTING", "QUOTING"]
    assert said[2].quotes.ask_size == 0.5


def test_trouble_in_the_book_stops_the_stocking_too() -> None:
    said = step([look(bid=99.0, ask=101.0)], allow_short=False, inventory_base=3.0, widest_bps=100.0)[0]
    assert (said.reason, said.quotes) == ("WIDE_SPREAD", None)
