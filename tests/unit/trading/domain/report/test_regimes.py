"""The regimes that colour a report are those known at the time."""

import numpy as np
import pytest

from tests.unit.trading.domain.research.models import MINUTE, two_states
from tests.unit.trading.domain.research.series import walk
from trading.domain.regime.errors import FeaturesRefused
from trading.domain.regime.filter import ClosedBar, RegimeFilter
from trading.domain.report.regimes import known_regimes

MODEL = two_states()
SERIES = walk(200, seed=3)


def test_they_are_what_the_live_filter_said_bar_by_bar():
    running = RegimeFilter(MODEL, "ab" * 32)
    live = []
    for at in range(len(SERIES)):
        prices = [
            float(SERIES.price(column[at : at + 1])[0]) for column in (SERIES.high, SERIES.low, SERIES.close)
        ]
        reading = running.step(ClosedBar(int(SERIES.close_ns[at]), *prices, float(SERIES.volume[at])))
        live.append(-1 if reading is None else int(np.argmax(reading.posterior)))
    found = known_regimes(MODEL, SERIES, SERIES.close_ns)
    assert found.states.tolist() == live
    assert set(live) == {-1, 0, 1}
    assert found.names == {0: "calm", 1: "turbulent"}


def test_later_bars_change_nothing():
    whole = known_regimes(MODEL, SERIES, SERIES.close_ns[:120]).states
    assert known_regimes(MODEL, SERIES.first(120), SERIES.close_ns[:120]).states.tolist() == whole.tolist()


def test_before_the_first_bar_and_long_after_the_last_nothing_is_known():
    times = np.array([0, SERIES.close_ns[50] + MINUTE // 2, SERIES.close_ns[-1] + MINUTE])
    found = known_regimes(MODEL, SERIES, times).states
    assert (found[0], found[2]) == (-1, -1)
    assert found[1] == known_regimes(MODEL, SERIES, SERIES.close_ns[50:51]).states[0]


def test_bars_too_few_for_the_windows_are_refused():
    with pytest.raises(FeaturesRefused):
        known_regimes(MODEL, SERIES.first(3), SERIES.close_ns[:3])
