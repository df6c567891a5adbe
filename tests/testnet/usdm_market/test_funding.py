"""Funding rates by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testnet.usdm.catalog import catalog_perpetual
from testnet.usdm.contracts import Perpetual
from testnet.usdm.funding import (
    PremiumAverage,
    funding_rate,
    impact_notional,
    premium_for,
    premium_index,
)
from testnet.values import SCALE


def terms(symbol: str = "BTCUSDT") -> Perpetual:
    found = catalog_perpetual(symbol)[0].perpetual
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        # F = P + clamp(0.01 % - P, -0.05 %, 0.05 %): within the clamp the rate is the interest.
        (0, 10_000),
        (50_000, 10_000),  # P = 0.05 %
        (60_000, 10_000),  # the clamp's edge: 0.06 % - 0.05 %
        (60_001, 10_001),
        (100_000, 50_000),  # 0.1 % - 0.05 %
        (-40_000, 10_000),  # the other edge: -0.04 % + 0.05 %
        (-100_000, -50_000),
        (400_000, 300_000),  # 0.35 % held at the cap of 0.3 %
        (-400_000, -300_000),
    ],
)
def test_rate_is_premium_plus_clamped_interest_within_cap_and_floor(premium: int, rate: int) -> None:
    assert funding_rate(premium, terms()) == rate


def test_four_hour_contract_pays_half_of_the_eight_hour_rate() -> None:
    # (0.1 % - 0.05 %) / (8 / 4) = 0.025 %
    assert funding_rate(100_000, replace(terms(), funding_hours=4)) == 25_000


def test_cap_is_three_quarters_of_the_lowest_maintenance_ratio() -> None:
    assert terms().funding_cap == SCALE * 3 // 1_000  # 0.75 * 0.4 %
    assert terms("SOLUSDT").funding_cap == 487_500  # 0.75 * 0.65 %


def test_later_premiums_weigh_more() -> None:
    average = PremiumAverage()
    for premium in (30, 60, 90):
        average.add(premium)
    assert average.value() == (1 * 30 + 2 * 60 + 3 * 90) // 6
    average.clear()
    assert average.value() == 0


@pytest.mark.parametrize(
    ("bid", "ask", "premium"),
    [
        (100_100, 100_200, 100_000),  # the bid 0.1 % above the index
        (99_800, 99_900, -100_000),  # the ask 0.1 % below
        (99_950, 100_050, 0),  # the index between them
    ],
)
def test_premium_counts_only_what_lies_beyond_the_index(bid: int, ask: int, premium: int) -> None:
    assert premium_index(bid * SCALE, ask * SCALE, 100_000 * SCALE) == premium


def test_impact_notional_is_200_dollars_at_full_leverage() -> None:
    assert impact_notional(terms()) == 25_000 * SCALE
    assert impact_notional(terms("SOLUSDT")) == 15_000 * SCALE


@pytest.mark.parametrize("rate", [-300_000, -50_000, 9_999, 10_000, 10_001, 225_000, 300_000])
@pytest.mark.parametrize("hours", [8, 4])
def test_the_premium_for_a_rate_gives_that_rate(rate: int, hours: int) -> None:
    contract = replace(terms(), funding_hours=hours)
    assert funding_rate(premium_for(rate, contract), contract) == rate


def test_no_premium_gives_a_rate_beyond_the_cap() -> None:
    with pytest.raises(ValueError, match="300000"):
        premium_for(300_001, terms())


def test_a_mean_that_was_set_weighs_as_much_as_the_samples_until_then() -> None:
    average = PremiumAverage()
    for premium in (30, 60, 90):
        average.add(premium)
    average.become(1000)
    assert average.value() == 1000
    average.add(0)
    assert average.value() == 1000 * 6 // 10  # weights 1 + 2 + 3 of 1 + 2 + 3 + 4
