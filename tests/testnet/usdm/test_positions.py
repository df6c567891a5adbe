"""Profit, loss, commission and funding by hand, to the last unit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from testnet.usdm.catalog import catalog_perpetual
from testnet.usdm.contracts import make_brackets
from testnet.usdm.margin import liquidation_price, terms
from testnet.usdm.positions import Position
from testnet.values import SCALE
from tests.testnet.usdm.conftest import Desk, units


def test_long_gains_the_difference_and_pays_both_commissions(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "1")
    desk.order(user, "BUY", "0.1")
    # 0.1 * 50000 = 5000 notional, taker 0.05 % = 2.5
    assert desk.wallet(user) == units("9997.5")
    assert desk.position(user).entry_price() == units("50000")
    desk.liquidity("BUY", "51000", "1")
    desk.order(user, "SELL", "0.1")
    # + 0.1 * 1000 = 100, fee 5100 * 0.0005 = 2.55
    assert desk.wallet(user) == units("10094.95")
    assert desk.position(user).steps == 0
    assert [fill.realized for fill in desk.fills(user)] == [0, units("100")]
    desk.check_books()


def test_short_loses_when_the_price_rises(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("BUY", "50000", "1")
    desk.order(user, "SELL", "0.2")
    assert desk.position(user).steps < 0
    desk.clear_book()
    desk.liquidity("SELL", "50500", "1")
    desk.order(user, "BUY", "0.2")
    # 0.2 * -500 = -100; fees 10000 * 0.0005 = 5 and 10100 * 0.0005 = 5.05
    assert desk.wallet(user) == units("10000") - units("110.05")
    desk.check_books()


def test_reversal_realises_the_old_side_and_opens_the_new_at_its_own_price(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    desk.liquidity("BUY", "49000", "1")
    desk.order(user, "SELL", "0.3")
    position = desk.position(user)
    assert desk.fills(user)[-1].realized == units("-100")
    assert position.steps * position.instrument.step == units("-0.2")
    assert position.entry_price() == units("49000")
    desk.check_books()


def test_average_entry_is_weighted_by_quantity_and_break_even_includes_fees(desk: Desk) -> None:
    user = desk.account("100000")
    desk.liquidity("SELL", "50000", "0.1")
    desk.liquidity("SELL", "50300", "0.2")
    desk.order(user, "BUY", "0.3")
    # (0.1 * 50000 + 0.2 * 50300) / 0.3 = 50200; fees 15060 * 0.0005 = 7.53, / 0.3 = 25.1
    assert desk.position(user).entry_price() == units("50200")
    assert desk.position(user).break_even_price() == units("50225.1")


def test_partial_closes_lose_nothing_to_rounding() -> None:
    instrument, _ = catalog_perpetual("BTCUSDT")
    position = Position(instrument)
    per_tick = instrument.quote_per
    # Three steps at prices whose average is no whole number of units.
    for ticks in (500_001, 500_002, 500_004):
        position.trade(1, ticks * per_tick)
    realized = sum(position.trade(-1, 500_010 * per_tick).realized for _ in range(3))
    assert realized == (3 * 500_010 - 500_001 - 500_002 - 500_004) * per_tick
    assert (position.steps, position.cost) == (0, 0)


def test_resting_order_pays_the_maker_rate(desk: Desk) -> None:
    user = desk.account("10000")
    desk.order(user, "BUY", "0.1", "49000")
    listing = desk.listing()
    desk.exchange.usdm.background_take(listing, "SELL", 1, 10**9)
    # 4900 * 0.0002
    assert desk.fills(user)[0].maker
    assert desk.wallet(user) == units("9999.02")
    desk.check_books()


@pytest.mark.parametrize(
    ("side", "rate", "expected"),
    [
        ("BUY", "0.0001", "-0.5"),
        ("SELL", "0.0001", "0.5"),
        ("BUY", "-0.0002", "1"),
        ("SELL", "-0.0002", "-1"),
    ],
)
def test_longs_pay_shorts_when_the_rate_is_positive(desk: Desk, side: str, rate: str, expected: str) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "1")
    desk.liquidity("BUY", "49999.9", "1")
    desk.order(user, side, "0.1")
    before = desk.wallet(user)
    # 0.1 * 50000 * rate
    desk.exchange.usdm_market.funding_due(desk.listing(), units(rate), units("50000"), desk.exchange.now_ms())
    assert desk.wallet(user) - before == units(expected)
    row = desk.exchange.usdm_market.income.of(user.account_id)[-1]
    assert (row.kind, row.units, row.symbol) == ("FUNDING_FEE", units(expected), "BTCUSDT")
    desk.check_books()


def test_isolated_funding_comes_out_of_the_positions_own_margin(desk: Desk) -> None:
    user = desk.account("10000")
    desk.exchange.usdm_market.settings.set_margin_type(user.account_id, "BTCUSDT", isolated=True)
    desk.liquidity("SELL", "50000", "1")
    desk.order(user, "BUY", "0.1")
    # 5000 / 20
    assert desk.position(user).isolated == units("250")
    cross = desk.futures(user).cross_wallet("USDT")
    desk.exchange.usdm_market.funding_due(desk.listing(), units("0.0001"), units("50000"), 0)
    assert desk.position(user).isolated == units("249.5")
    assert desk.futures(user).cross_wallet("USDT") == cross


def test_funding_adds_up_to_the_published_total(desk: Desk) -> None:
    # Four longs and a short with awkward sizes: users and background market together gain nothing.
    for side, quantity in (("BUY", "0.013"), ("BUY", "0.007"), ("SELL", "0.031"), ("BUY", "0.101")):
        desk.liquidity("SELL", "50000", "1")
        desk.liquidity("BUY", "49999.9", "1")
        desk.order(desk.account("10000"), side, quantity)
    desk.exchange.usdm_market.funding_due(desk.listing(), units("0.00003331"), units("50123.45"), 0)
    desk.check_books()


def test_liquidation_price_of_an_isolated_position_matches_the_published_formula() -> None:
    cases = json.loads((Path(__file__).parents[2] / "data" / "science_cases.json").read_text())
    rows = cases["cases"] if isinstance(cases, dict) else cases
    case = next(row for row in rows if row["id"] == "R10")
    args = case["args"]
    instrument, _ = catalog_perpetual("BTCUSDT")
    perpetual = terms(instrument)
    assert perpetual.brackets[0].ratio == units(str(args["mmr"]))
    quantity, entry, wallet = (args[name] * SCALE for name in ("qty", "entry", "wallet"))
    price = liquidation_price(perpetual, wallet, quantity, quantity * entry // SCALE)
    assert price / SCALE == pytest.approx(case["expected"], abs=case["tol"])


def test_liquidation_price_uses_the_bracket_of_its_own_notional() -> None:
    # Two brackets: 1 % up to 1000, 2 % above with cum 10; a short of 1 at 1000 with 500 behind it:
    # 500 + 1000 - p = p * 0.02 - 10  ->  p = 1510 / 1.02
    instrument, _ = catalog_perpetual("BTCUSDT")
    perpetual = terms(instrument)
    brackets = make_brackets(((0, 20, "1"), (1000, 10, "2")), 1_000_000)
    price = liquidation_price(replace(perpetual, brackets=brackets), 500 * SCALE, -SCALE, -1000 * SCALE)
    assert price == 1510 * SCALE * 100 // 102
