"""Round trips by hand."""

import numpy as np
import pytest

from trading.domain.statistics import RoundTrips, trade_figures

S = 1_000_000_000


def trips(*net, notional=1000.0):
    n = len(net)
    entry = np.arange(n, dtype=np.int64) * 100 * S
    return RoundTrips(entry, entry + 60 * S, np.array(net, dtype=float), np.full(n, notional))


def test_the_figures_of_six_trades():
    found = trade_figures(trips(30.0, 20.0, -10.0, 0.0, -5.0, -10.0))
    assert (found.trades, found.wins, found.losses) == (6, 2, 3)
    assert found.win_rate.value == pytest.approx(2 / 6)
    assert found.profit_factor.value == pytest.approx(2.0)
    assert found.expectancy.value == pytest.approx(25 / 6)
    assert found.expectancy_bps.value == pytest.approx(25 / 6 / 1000 * 1e4)
    assert found.average_win.value == 25.0
    assert found.average_loss.value == pytest.approx(-25 / 3)
    assert found.payoff.value == pytest.approx(3.0)
    assert (found.best.value, found.worst.value) == (30.0, -10.0)
    assert (found.longest_wins, found.longest_losses) == (2, 2)
    assert found.mean_holding_s.value == 60.0
    # sum of squares 1525, minus 6 x (25/6)^2 = 104.1667, over 5 = 284.1667
    assert found.t_statistic.value == pytest.approx((25 / 6) / (284.1666667**0.5 / 6**0.5))


def test_without_trades_everything_has_a_reason():
    found = trade_figures(trips())
    assert found.trades == 0
    assert found.win_rate.value is None
    assert found.win_rate.reason == "there are no trades"


def test_a_trade_that_broke_even_is_neither_won_nor_lost_and_ends_a_run():
    found = trade_figures(trips(1.0, 0.0, 1.0))
    assert (found.wins, found.losses, found.longest_wins) == (2, 0, 1)
    assert found.profit_factor.value is None


def test_trades_that_end_before_they_begin_are_refused():
    with pytest.raises(ValueError, match="ends before it begins"):
        RoundTrips(np.array([5]), np.array([4]), np.array([1.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="one length"):
        RoundTrips(np.array([5]), np.array([6]), np.array([1.0, 2.0]), np.array([1.0]))
