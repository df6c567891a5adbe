"""Quote formulas against the science cases M01 to M06, each other, and the paper's simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.trading.domain.strategies.avellaneda_stoikov import simulate
from tests.unit.trading.domain.strategies.cases import agrees, case
from trading.domain.strategies.fill_intensity import fit_intensity
from trading.domain.strategies.quoting import exact_depths, reservation_quotes, stationary_depths

PATHS = 4_000


def test_m01_avellaneda_stoikov_quotes() -> None:
    told, expected = case("M01")["args"], case("M01")["expected"]
    quotes = reservation_quotes(told["mid"], told["q"], told["gamma"], told["sigma"], told["k"], told["tau"])
    assert agrees(quotes.price, expected["reservation"], "M01")
    assert agrees(quotes.spread, expected["spread"], "M01")
    assert agrees(quotes.bid, expected["bid"], "M01")
    assert agrees(quotes.ask, expected["ask"], "M01")


@pytest.mark.parametrize("number", ["M03", "M04"])
def test_m03_m04_exact_depths_of_gueant_lehalle_and_fernandez_tapia(number: str) -> None:
    told, expected = case(number)["args"], case(number)["expected"]
    bids, asks = exact_depths(told["Q"], told["gamma"], told["sigma"], told["A"], told["k"], told["T"])
    at = told["q"] + told["Q"]
    assert agrees(bids[at], expected["bid_depth"], number)
    assert agrees(asks[at], expected["ask_depth"], number)


@pytest.mark.parametrize("number", ["M05", "M06"])
def test_m05_m06_the_closed_form(number: str) -> None:
    told, expected = case(number)["args"], case(number)["expected"]
    bid, ask = stationary_depths(told["q"], told["gamma"], told["sigma"], told["A"], told["k"])
    assert agrees(bid, expected["bid_depth"], number)
    assert agrees(ask, expected["ask_depth"], number)
    assert agrees(bid + ask, expected["spread"], number)


def test_the_eigen_decomposition_is_the_matrix_exponential() -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    limit, gamma, sigma, arrival, decay, remaining = 5, 0.05, 0.4, 0.7, 0.6, 30.0
    alpha, eta = decay * gamma * sigma**2 / 2, arrival * (1 + gamma / decay) ** -(1 + decay / gamma)
    q = np.arange(-limit, limit + 1)
    matrix = np.diag(alpha * q**2) - eta * (np.eye(11, k=1) + np.eye(11, k=-1))
    v = scipy_linalg.expm(-matrix * remaining) @ np.ones(11)
    premium = math.log(1 + gamma / decay) / gamma
    bids, asks = exact_depths(limit, gamma, sigma, arrival, decay, remaining)
    assert bids[:-1] == pytest.approx((np.log(v[:-1] / v[1:]) / decay + premium).tolist(), rel=1e-9)
    assert asks[1:] == pytest.approx((np.log(v[1:] / v[:-1]) / decay + premium).tolist(), rel=1e-9)


def test_depths_mirror_each_other_and_lean_against_the_inventory() -> None:
    bids, asks = exact_depths(10, 0.01, 1.0, 0.5, 0.5, 600.0)
    assert bids == pytest.approx(asks[::-1], rel=1e-9)
    assert list(bids) == sorted(bids)
    assert list(asks) == sorted(asks, reverse=True)
    assert (bids[-1], asks[0]) == (math.inf, math.inf)


def test_numbers_beyond_floating_point_are_refused() -> None:
    with pytest.raises(ValueError, match="no quotes in floating point"):
        exact_depths(100, 10.0, 1_000.0, 1e-6, 1_000.0, 86_400.0)


@pytest.mark.parametrize(
    ("gamma", "inventory_aware", "profit", "profit_sd", "inventory_sd"),
    [
        (0.1, True, 64.941, 6.545, 2.924),
        (0.1, False, 68.278, 13.421, 8.410),
        (1.0, True, 31.476, 4.846, 1.640),
        (1.0, False, 43.723, 10.699, 5.160),
    ],
)
def test_the_papers_simulation_gives_its_profits_and_inventories(
    gamma: float, inventory_aware: bool, profit: float, profit_sd: float, inventory_sd: float
) -> None:
    # Expected: 100,000 independent paths of the science document; acceptance as stated there.
    profits, inventories = simulate(gamma, inventory_aware, PATHS, seed=7)
    assert abs(profits.mean() - profit) <= 4.0 * profit_sd / math.sqrt(PATHS)
    assert abs(profits.std(ddof=1) / profit_sd - 1.0) <= 4.0 / math.sqrt(2 * PATHS)
    assert abs(inventories.std(ddof=1) / inventory_sd - 1.0) <= 4.0 / math.sqrt(2 * PATHS)


def test_the_fill_intensity_is_found_again_from_counts() -> None:
    arrival, decay, exposure = 0.9, 0.3, 1e7
    depths = [0.5, 1.0, 2.0, 4.0, 8.0]
    fills = [round(arrival * math.exp(-decay * depth) * exposure) for depth in depths]
    found = fit_intensity(depths, fills, [exposure] * 5)
    assert found.arrival == pytest.approx(arrival, rel=1e-5)
    assert found.decay == pytest.approx(decay, rel=1e-5)


@pytest.mark.parametrize(
    ("depths", "fills", "exposures"),
    [([1.0], [5], [10.0]), ([1.0, 2.0], [5, 0], [10.0, 10.0]), ([1.0, 2.0], [5, 9], [10.0, 10.0]),
     ([1.0, 2.0], [5], [10.0, 10.0]), ([1.0, 2.0], [5, -1], [10.0, 10.0])],
)  # fmt: skip
def test_counts_that_say_nothing_about_depth_are_refused(
    depths: list[float], fills: list[int], exposures: list[float]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        fit_intensity(depths, fills, exposures)
