"""The hidden chain: how often it changes state, measured in the truth it leaves."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest

from testnet.instruments import catalog_instrument
from testnet.listing import Listing
from testnet.market.regimes import REGIMES, log_return, transition_matrix
from testnet.market.synthetic import KEEP_TRUTH, SyntheticFeed
from testnet.market.takers import poisson

MINUTE_MS = 60_000


def test_rows_of_the_transition_matrix_sum_to_one() -> None:
    for row in transition_matrix():
        assert math.fsum(row) == pytest.approx(1.0, abs=1e-12)
        assert min(row) >= 0


def test_transitions_in_the_truth_are_as_frequent_as_the_matrix_says() -> None:
    counts: Counter[tuple[int, int]] = Counter()
    for seed in range(5):
        feed = SyntheticFeed(Listing(*catalog_instrument("BTCUSDT")), 6.4e6, 0, random.Random(seed))
        for minute in range(KEEP_TRUTH):
            feed.close_minute(minute * MINUTE_MS)
        counts.update(pairwise(state for _, state in feed.truth()))
    for row, probabilities in enumerate(transition_matrix()):
        visits = sum(counts[row, column] for column in range(len(REGIMES)))
        for column, probability in enumerate(probabilities):
            # Four standard deviations of a binomial frequency.
            error = 4 * math.sqrt(probability * (1 - probability) / visits)
            assert abs(counts[row, column] / visits - probability) <= error, (row, column)


def test_truth_keeps_thirty_days_and_forgets_the_oldest() -> None:
    feed = SyntheticFeed(Listing(*catalog_instrument("BTCUSDT")), 6.4e6, 0, random.Random(1))
    for minute in range(3 * KEEP_TRUTH):
        feed.close_minute(minute * MINUTE_MS)
        assert len(feed.truth()) <= KEEP_TRUTH * 9 // 8
    assert feed.truth()[-1][0] == (3 * KEEP_TRUTH - 1) * MINUTE_MS


@pytest.mark.parametrize("index", range(len(REGIMES)))
def test_log_returns_have_the_drift_and_volatility_of_their_regime(index: int) -> None:
    rng, common = random.Random(3), random.Random(4)
    count, minutes, relative = 40_000, 0.25, 1.25
    draws = [log_return(index, minutes, common.gauss(0.0, 1.0), 0.8, relative, rng) for _ in range(count)]
    regime = REGIMES[index]
    sigma = regime.volatility * relative * math.sqrt(minutes)
    mean = math.fsum(draws) / count
    spread = math.sqrt(math.fsum((draw - mean) ** 2 for draw in draws) / count)
    # A price whose log moves like this has the drift itself, so the log has half a variance less.
    expected = regime.drift * relative * minutes - sigma**2 / 2
    assert abs(mean - expected) <= 4 * sigma / math.sqrt(count)
    assert spread == pytest.approx(sigma, rel=4 / math.sqrt(2 * count))


@pytest.mark.parametrize("mean", [0.3, 7.0, 80.0])
def test_poisson_counts_have_equal_mean_and_variance(mean: float) -> None:
    rng, count = random.Random(5), 20_000
    draws = [poisson(mean, rng) for _ in range(count)]
    average = sum(draws) / count
    variance = sum((draw - average) ** 2 for draw in draws) / count
    assert abs(average - mean) <= 4 * math.sqrt(mean / count)
    # The variance of a sample variance of Poisson counts is (mean + 2 mean^2) / n.
    assert abs(variance - mean) <= 4 * math.sqrt((mean + 2 * mean**2) / count)
