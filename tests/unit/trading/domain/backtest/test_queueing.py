import pytest

from trading.domain.backtest.queueing import FillModel, Resting


def bid(ahead: int | None = 100, shown: int = 300, left: int = 50) -> Resting:
    return Resting(1, 1_000, left, 0, 0, ahead, shown)


def test_an_order_joins_the_back_of_the_best_level():
    order = Resting(1, 1_000, 50, 0, 0)
    order.join(1_000, 300)
    assert (order.ahead, order.shown) == (300, 300)


def test_a_better_price_is_alone_in_front():
    order = Resting(-1, 999, 50, 0, 0)
    order.join(1_000, 300)
    assert order.ahead == 0


def test_behind_the_best_level_its_place_is_unknown_until_the_level_shows():
    order = Resting(1, 990, 50, 0, 0)
    order.join(1_000, 300)
    assert order.ahead is None
    assert order.see_trade(990, 1_000, FillModel.queue) == 0
    order.see_top(990, 70)
    assert order.ahead == 70


def test_trades_at_its_price_serve_the_queue_first():
    order = bid(ahead=100)
    assert order.see_trade(1_000, 60, FillModel.queue) == 0
    assert order.see_trade(1_000, 40, FillModel.queue) == 0  # exactly what was ahead
    assert order.see_trade(1_000, 1, FillModel.queue) == 1  # the first that is its own
    assert order.see_trade(1_000, 500, FillModel.queue) == 50


@pytest.mark.parametrize(
    ("model", "filled"), [(FillModel.touch, 50), (FillModel.through, 0), (FillModel.queue, 0)]
)
def test_a_trade_at_its_price_means_what_the_model_says(model, filled):
    assert bid().see_trade(1_000, 10, model) == filled


@pytest.mark.parametrize("model", list(FillModel))
def test_a_trade_beyond_its_price_fills_it_under_every_model(model):
    assert bid().see_trade(999, 1, model) == 50
    assert Resting(-1, 1_000, 50, 0, 0, 10, 10).see_trade(1_001, 1, model) == 50


@pytest.mark.parametrize("model", list(FillModel))
def test_a_trade_short_of_its_price_fills_nothing(model):
    assert bid().see_trade(1_001, 10_000, model) == 0


def test_cancels_are_shared_by_the_power_law():
    # 100 ahead, 200 behind: 200^3 / (200^3 + 100^3) = 8/9 of 90 cancelled steps were behind us.
    order = bid(ahead=100, shown=300)
    order.see_top(1_000, 210)
    assert (order.ahead, order.shown) == (90, 210)


def test_a_trade_is_not_counted_as_a_cancel_again_by_the_top_that_shows_it():
    order = bid(ahead=100, shown=300)
    order.see_trade(1_000, 60, FillModel.queue)
    order.see_top(1_000, 240)
    assert order.ahead == 40


def test_nobody_is_ahead_of_more_than_is_displayed():
    order = bid(ahead=100, shown=100)
    order.see_top(1_000, 30)
    assert order.ahead == 30


def test_what_joins_later_is_behind():
    order = bid(ahead=100, shown=300)
    order.see_top(1_000, 900)
    assert (order.ahead, order.shown) == (100, 900)


def test_a_book_that_crosses_the_order_shows_that_it_was_filled():
    assert bid().crossed_by(1_000, FillModel.queue)
    assert not bid().crossed_by(1_000, FillModel.through)
    assert bid().crossed_by(999, FillModel.through)
    assert not bid().crossed_by(1_001, FillModel.touch)
