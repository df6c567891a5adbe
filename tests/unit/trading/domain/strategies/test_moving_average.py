"""Moving-average crossing; averages checked against numpy, cases C22 of the earlier system."""

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.strategies import Bar, Observation, ParameterError, parse_params, registry

MovingAverage = registry()["moving_average"]
REAL = Path(__file__).parents[5].parent / "shared" / "data" / "klines_spot_1h" / "BTCUSDT_1h.csv.gz"
HOUR = 3_600_000_000_000


def observe(close, i=0, **more):
    bar = Bar(i * HOUR, (i + 1) * HOUR, close, close, close, close, 1.0)
    return Observation("BTCUSDT", "1h", bar, (i + 1) * HOUR, **more)


def run(closes, strategy=None, **values):
    strategy = strategy or MovingAverage()
    params = parse_params(MovingAverage.Params, values)
    state, said = strategy.initial(params), []
    for i, close in enumerate(closes):
        state, desired = strategy.step(params, state, observe(float(close), i))
        said.append(desired)
    return said


def targets(said):
    return [None if d is None else d.target for d in said]


def numpy_targets(closes, fast, slow):
    """The same rule from numpy's own moving averages."""
    expected = [None] * (slow - 1)
    fast_mean = np.convolve(closes, np.ones(fast) / fast, "valid")[slow - fast :]
    slow_mean = np.convolve(closes, np.ones(slow) / slow, "valid")
    for f, s in zip(fast_mean, slow_mean, strict=True):
        expected.append(None if math.isclose(f, s, rel_tol=1e-11) else (1.0 if f > s else 0.0))
    return expected


def random_walk(seed, length=600):
    rng = np.random.default_rng(seed)
    return 20_000 * np.exp(np.cumsum(rng.normal(0, 0.002, length)))


def test_the_defaults_are_9_and_21():
    params = parse_params(MovingAverage.Params, {})
    assert (params.fast, params.slow, params.allow_short) == (9, 21, False)
    assert MovingAverage().warmup(params) == 21


def test_with_too_few_bars_it_says_nothing():
    assert targets(run(range(1, 21))) == [None] * 20


def test_the_first_answer_comes_with_the_slow_window_full():
    assert targets(run(range(1, 22)))[-1] == 1.0


def test_rising_prices_are_held_and_falling_ones_are_not():
    assert run(range(1, 40))[-1].target == 1.0
    assert run(range(40, 1, -1))[-1].target == 0.0


def test_falling_prices_are_sold_short_only_where_allowed():
    assert run(range(40, 1, -1), allow_short=True)[-1].target == -1.0


@pytest.mark.parametrize("price", [0.1, 1.0, 19_999.99, 1e-8, 6_718.22, 32_579.65])
def test_a_flat_market_says_nothing_whatever_its_price(price):
    # 6718.22 and 32579.65: the means of 9 and of 21 equal numbers differ in the last bit
    assert targets(run([price] * 60)) == [None] * 60


@pytest.mark.parametrize(("fast", "slow"), [(21, 21), (22, 21), (0, 21), (9, 5_001)])
def test_windows_that_make_no_sense_are_refused(fast, slow):
    with pytest.raises(ParameterError):
        parse_params(MovingAverage.Params, {"fast": fast, "slow": slow})


def test_the_averages_by_hand():
    # closes 1 2 3 5: fast (3 + 5) / 2 = 4, slow 11 / 4 = 2.75, variance 39 / 4 - 2.75 x 2.75 = 2.1875
    desired = run([1, 2, 3, 5], fast=2, slow=4)[-1]
    assert desired.features["fast"] == 4.0
    assert desired.features["slow"] == 2.75
    assert desired.features["spread"] == pytest.approx(math.sqrt(2.1875), rel=1e-15)
    assert desired.confidence == pytest.approx(1.25 / math.sqrt(2.1875), rel=1e-15)
    assert desired.reason == "FAST_ABOVE_SLOW"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("fast", "slow"), [(9, 21), (1, 2), (5, 50)])
def test_on_random_walks_it_agrees_with_numpys_moving_averages(seed, fast, slow):
    closes = random_walk(seed)
    assert targets(run(closes, fast=fast, slow=slow)) == numpy_targets(closes, fast, slow)


@pytest.mark.realdata
def test_on_real_candles_it_agrees_with_numpys_moving_averages():
    if not REAL.exists():
        pytest.skip("the recorded market data is not beside the checkout")
    with gzip.open(REAL, "rt") as stream:
        closes = np.array([float(row["close"]) for row in csv.DictReader(stream)][:5_000])
    said = targets(run(closes))
    assert said == numpy_targets(closes, 9, 21)
    assert {0.0, 1.0} <= set(said)


@pytest.mark.parametrize("cut", [20, 21, 22, 100, 299])
def test_what_it_says_at_a_bar_does_not_depend_on_later_bars(cut):
    closes = random_walk(1, 300)
    assert run(closes[:cut]) == run(closes)[:cut]


@given(st.lists(st.floats(0.01, 1e6), min_size=21, max_size=60), st.integers(0, 5))
def test_what_it_says_depends_only_on_the_slow_window(closes, more):
    assert run(closes)[-1] == run([7.0] * more + closes)[-1]


def test_it_goes_on_after_a_restart_as_if_nothing_had_happened():
    strategy, params = MovingAverage(), parse_params(MovingAverage.Params, {})
    state, said = strategy.initial(params), []
    for i, close in enumerate(random_walk(2, 200)):
        state = strategy.load(strategy.dump(state))
        state, desired = strategy.step(params, state, observe(float(close), i))
        said.append(desired)
    assert said == run(random_walk(2, 200))


def test_only_closed_bars_move_it():
    strategy, params = MovingAverage(), parse_params(MovingAverage.Params, {})
    state, desired = strategy.step(params, (1.0, 2.0), observe(9.0, trigger="book"))
    assert (state, desired) == ((1.0, 2.0), None)


def test_the_state_never_grows_beyond_the_slow_window():
    strategy, params = MovingAverage(), parse_params(MovingAverage.Params, {})
    state = strategy.initial(params)
    for i in range(100):
        state, _ = strategy.step(params, state, observe(float(i), i))
    assert state == tuple(float(i) for i in range(79, 100))
