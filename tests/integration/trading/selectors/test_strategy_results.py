"""Returns of strategies per period, from rows by hand; results as the equity tick writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.factories.trading import Desk, trading_desk
from trading.models import Strategy, StrategyResult
from trading.selectors.strategy_results import strategy_returns
from trading.services.strategies.results import results_mark, results_prune

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(db: None) -> Desk:
    desk = trading_desk()
    StrategyResult.objects.all().delete()
    return desk


def mark(desk: Desk, name: str, seconds: float, result: str, capital: str = "1000") -> None:
    at = START + timedelta(seconds=seconds)
    StrategyResult.objects.create(
        strategy=desk.strategies[name], at=at, market_at=at, capital=capital, result=result
    )


def test_return_is_the_change_of_the_last_result_of_each_period_over_the_capital_before(desk: Desk) -> None:
    for name, values in {"trend": ("5", "10", "30", "31"), "swing": ("0", "0", "-20", "7")}.items():
        for seconds, value in zip((20, 50, 110, 130), values, strict=True):
            mark(desk, name, seconds, value)
    found = strategy_returns(["trend", "swing"], period=MINUTE, periods=10)
    # Minute 0 ends at 10 and 0, minute 1 at 30 and -20; minute 2 is not over.
    assert found.rows == ((0.02, -0.02),)
    assert found.ends == (START + 2 * MINUTE,)


def test_a_strategy_without_a_result_has_no_return_and_takes_nobody_elses(desk: Desk) -> None:
    for minute in range(5):
        mark(desk, "trend", minute * 60, str(minute))
        if minute != 1:
            mark(desk, "swing", minute * 60, "0")
    found = strategy_returns(["trend", "swing"], period=MINUTE, periods=10)
    # Minute 1 of swing is missing, so it has no return in it and in the next one.
    assert found.ends == tuple(START + n * MINUTE for n in (2, 3, 4))
    assert found.rows == ((0.001, None), (0.001, None), (0.001, 0.0))


def test_no_capital_is_no_return_and_no_result_no_row(desk: Desk) -> None:
    assert strategy_returns(["trend"], period=MINUTE, periods=3).rows == ()
    for minute in range(3):
        mark(desk, "trend", minute * 60, str(minute), capital="0")
    assert strategy_returns(["trend"], period=MINUTE, periods=3).rows == ()


def test_results_are_written_once_a_minute_and_at_once_for_another_model(desk: Desk) -> None:
    """W80: what a model earned can be told from what its predecessor did."""
    values = {"trend": (Decimal(1010), Decimal(1000))}
    assert results_mark(values, at=START, market_at=None) == 1
    assert results_mark(values, at=START + timedelta(seconds=59), market_at=None) == 0
    Strategy.objects.filter(name="trend").update(model_family="hmm-btc", model_version=3)
    assert results_mark(values, at=START + timedelta(seconds=59), market_at=None) == 1
    assert results_mark(values, at=START + timedelta(seconds=120), market_at=None) == 1
    rows = StrategyResult.objects.filter(at__gte=START, at__lte=START + timedelta(hours=1)).order_by("id")
    assert list(rows.values_list("model", "result")) == [("", 10), ("hmm-btc@3", 10), ("hmm-btc@3", 10)]


def test_the_equity_tick_writes_what_the_strategies_made(desk: Desk) -> None:
    desk.measure()
    assert set(StrategyResult.objects.values_list("strategy__name", "capital", "result")) == {
        ("trend", 9000, 0),
        ("swing", 9000, 0),
    }


def test_old_results_are_thinned_to_one_an_hour(desk: Desk) -> None:
    for minute in (0, 10, 59, 60, 61):
        mark(desk, "trend", minute * 60, str(minute))
    assert results_prune() == 3
    kept = StrategyResult.objects.filter(at__lt=START + timedelta(days=1)).values_list("result", flat=True)
    assert sorted(kept) == [0, 60]


def test_capital_that_comes_in_the_middle_of_a_period_is_what_its_later_results_were_made_with(
    desk: Desk,
) -> None:
    """Over the capital at the beginning of the hour a true 0.4 % was written down as 40 %."""
    mark(desk, "trend", 50, "0", capital="250")
    mark(desk, "trend", 70, "1", capital="250")
    for seconds, result in ((80, "1"), (90, "51"), (110, "101"), (120, "101")):
        mark(desk, "trend", seconds, result, capital="25000")
    found = strategy_returns(["trend"], period=MINUTE, periods=10)
    assert found.rows == ((pytest.approx(1 / 250 + 100 / 25_000),),)


def test_capital_given_and_earned_within_one_mark_counts_as_the_larger(desk: Desk) -> None:
    for seconds, result, capital in ((50, "0", "250"), (110, "100", "25000"), (130, "100", "25000")):
        mark(desk, "trend", seconds, result, capital=capital)
    assert strategy_returns(["trend"], period=MINUTE, periods=10).rows == ((0.004,),)


def test_what_is_lost_while_a_position_is_sold_counts_over_the_capital_it_had(desk: Desk) -> None:
    for seconds in (50, 100):
        mark(desk, "trend", seconds, "0", capital="1000")
    for seconds, result in ((110, "-10"), (130, "-30"), (190, "-31"), (260, "-32")):
        mark(desk, "trend", seconds, result, capital="0")
    found = strategy_returns(["trend"], period=MINUTE, periods=10)
    # For one period after it had its capital: what is left of a position for ever after is evidence of nothing.
    assert found.rows == ((pytest.approx(-0.01),), (pytest.approx(-0.02),))
