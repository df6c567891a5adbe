"""Which funding rate a bar's close knows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.funding import rates_in_force

HOUR = 3_600_000_000_000
MS = 1_000_000


def at(*hours: float) -> np.ndarray:
    return np.array([round(hour * HOUR) for hour in hours], dtype=np.int64)


def test_a_rate_is_known_from_its_own_moment_on_and_not_a_millisecond_before() -> None:
    known = rates_in_force(
        np.array([8 * HOUR - MS, 8 * HOUR, 9 * HOUR - MS], dtype=np.int64), at(0, 8), np.array([0.1, 0.2])
    )
    assert known.tolist() == [0.1, 0.2, 0.2]


def test_before_the_first_rate_none_is_known() -> None:
    assert np.isnan(rates_in_force(at(0.5), at(1), np.array([0.1]))).all()
    assert np.isnan(rates_in_force(at(0.5, 1.5), at(), np.array([]))).all()


def test_contracts_that_settle_every_hour_every_four_and_every_eight_know_the_last_of_each() -> None:
    # A contract that changes from 8 hours to 4 and to 1.
    times, rates = at(0, 8, 12, 13, 14), np.arange(5.0)
    closes = at(7.9, 8.5, 11.9, 12.5, 13.5, 15, 21.9)
    assert rates_in_force(closes, times, rates).tolist() == [0, 1, 1, 2, 3, 4, 4]


def test_a_rate_is_not_in_force_for_longer_than_any_contract_takes_to_the_next() -> None:
    # The venue stamps settlements some milliseconds late, so eight hours are a little more.
    late = np.array([8 * HOUR + 20 * MS, 8 * HOUR + 1_001 * MS], dtype=np.int64)
    known = rates_in_force(late, at(0), np.array([0.1]))
    assert known[0] == 0.1
    assert np.isnan(known[1])


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 99))
def test_what_a_close_knows_depends_on_no_later_rate(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    closes = HOUR * np.arange(1, 101, dtype=np.int64) - MS
    times = np.cumsum(rng.choice([1, 4, 8], size=40)).astype(np.int64) * HOUR + rng.integers(0, 15, 40) * MS
    rates = rng.normal(0, 1e-4, 40)
    whole = rates_in_force(closes, times, rates)
    past = times <= closes[cut]
    changed = np.where(past, rates, -rates)
    for known in (
        rates_in_force(closes, times[past], rates[past]),
        rates_in_force(closes, times, changed),
    ):
        assert np.array_equal(known[: cut + 1], whole[: cut + 1], equal_nan=True)
