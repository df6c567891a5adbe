"""Allocation cases, each by its id; sources and tolerances are in the data file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from governance.domain.allocation import (
    best_probabilities,
    beta_exceeds,
    drawdown_multiplier,
    hedge_observe,
    hedge_start,
    hit_probability,
    inverse_volatility,
    kelly_weights,
    risk_budget,
)
from tests.unit.science_cases import CASES, assert_near

OURS = [case for case in CASES if case["group"] == "allocation"]


def hedge(losses: list[list[float]], eta: float) -> dict[str, Any]:
    state = hedge_start(len(losses[0]))
    for row in losses:
        state = hedge_observe(state, row, eta=eta)
    return {"loss": state.loss, "weights": state.weights}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "risk_budget": lambda cov: risk_budget(cov),
    "inverse_vol": lambda vols: inverse_volatility(vols),
    "kelly_weights": lambda mu, cov, fraction: kelly_weights(mu, cov, fraction),
    "hit_probability": hit_probability,
    "hedge": hedge,
    "beta_better": lambda a1, b1, a2, b2: beta_exceeds(a1, b1, a2, b2),
    "gaussian_best": lambda means, sds: best_probabilities(means, sds),
    "drawdown_multiplier": lambda dd, soft, hard: drawdown_multiplier(dd, soft, hard),
}


@pytest.mark.parametrize("case", OURS, ids=lambda case: case["id"])
def test_the_case_gives_the_expected_number(case: dict[str, Any]) -> None:
    assert_near(FUNCTIONS[case["function"]](**case["args"]), case["expected"], case["tol"])


def test_no_allocation_case_is_left_out() -> None:
    assert [case["id"] for case in OURS] == [
        "A01",
        "A02",
        "A03",
        "A05",
        "A07",
        "A09",
        "A11",
        "A13",
        "A14",
        "A15",
    ]
