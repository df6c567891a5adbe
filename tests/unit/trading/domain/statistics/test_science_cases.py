"""Published and independently computed numbers, each by its id; sources and tolerances are in the data file."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.unit.science_cases import CASES, assert_near
from trading.domain.research.overfitting import backtest_overfitting
from trading.domain.research.splits import cpcv_counts, purged_train
from trading.domain.statistics import (
    deflated_sharpe,
    expected_maximum,
    max_drawdown,
    minimum_backtest_years,
    minimum_track_record,
    perpetual_result,
    probabilistic_sharpe,
)
from trading.domain.statistics.risk import (
    exposures,
    historical_tail,
    kupiec_test,
    liquidation_price,
    normal_tail,
    student_tail,
)
from trading.domain.statistics.sequential import (
    betting_log_wealth,
    mixture_bound,
    mixture_log_e,
    mixture_rho,
    sprt_plan,
)

SIDES = {"long": 1, "short": -1}


def psr(sr: float, benchmark: float, n: float, skew: float, kurt: float) -> float | None:
    return probabilistic_sharpe(sr=sr, benchmark=benchmark, n=n, skew=skew, kurt=kurt).value


def dsr(**args: float) -> dict[str, float | None]:
    found = deflated_sharpe(
        sr=args["sr"],
        trials_variance=args["trials_var"],
        n_trials=args["n_trials"],
        n=args["n"],
        skew=args["skew"],
        kurt=args["kurt"],
    )
    return {"sr0": found.benchmark, "dsr": found.probability.value}


def min_trl(sr: float, benchmark: float, skew: float, kurt: float, prob: float) -> float | None:
    return minimum_track_record(sr=sr, benchmark=benchmark, skew=skew, kurt=kurt, probability=prob).value


def pbo(blocks: int, **_: Any) -> dict[str, float]:
    t, j = np.arange(240)[:, None], np.arange(1, 9)[None, :]
    matrix = 0.01 * np.sin(0.7 * j * t + j) + 0.0002 * j * (-1.0) ** (t // 30)
    found = backtest_overfitting(matrix, blocks)
    return {
        "combinations": found.combinations,
        "pbo": found.probability,
        "mean_logit": float(found.logits.mean()),
    }


def perp_pnl(**args: Any) -> dict[str, float]:
    found = perpetual_result(
        side=SIDES[args["side"]],
        quantity=args["qty"],
        entry=args["entry"],
        exit_price=args["exit"],
        entry_fee=args["fee_in"],
        exit_fee=args["fee_out"],
        slippage_bps=args["slip_bps"],
        fundings=args["fundings"],
    )
    return {"gross": found.gross, "fees": found.fees, "funding": found.funding, "net": found.net}


def sprt(delta: float, alpha: float, beta: float) -> dict[str, float]:
    plan = sprt_plan(delta, alpha, beta)
    return {
        "upper": plan.upper,
        "lower": plan.lower,
        "asn_h0": plan.expected_n_h0,
        "asn_h1": plan.expected_n_h1,
        "fixed_n": plan.fixed_n,
    }


def tail(found: Any) -> dict[str, float]:
    return {"var": found.var, "es": found.es}


def kupiec(exceptions: int, n: int, p: float) -> dict[str, float]:
    found = kupiec_test(exceptions, n, p)
    return {"lr": found.lr, "p_value": found.p_value}


def liquidation(side: str, qty: float, entry: float, wallet: float, mmr: float) -> Decimal | None:
    return liquidation_price(
        side=SIDES[side],
        quantity=Decimal(str(qty)),
        entry=Decimal(str(entry)),
        wallet=Decimal(str(wallet)),
        maintenance_rate=Decimal(str(mmr)),
    )


def exposure(positions: list[list[float]], equity: float) -> dict[str, Any]:
    found = exposures([(Decimal(str(q)), Decimal(str(p))) for q, p in positions], Decimal(str(equity)))
    return {
        "gross": found.gross,
        "net": found.net,
        "gross_leverage": found.gross_leverage.value,
        "net_leverage": found.net_leverage.value,
    }


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "psr": psr,
    "dsr": dsr,
    "min_trl": min_trl,
    "min_btl": lambda n_trials, sr: minimum_backtest_years(n_trials=n_trials, sr_annual=sr),
    "expected_max": lambda n: expected_maximum(n),
    "cpcv_counts": lambda groups, test_groups: dict(
        zip(("splits", "paths"), cpcv_counts(groups, test_groups), strict=True)
    ),
    "purged_train": lambda n, test_start, test_stop, horizon, embargo: purged_train(
        n, test_start, test_stop, horizon=horizon, embargo=embargo
    ),
    "pbo": pbo,
    "perp_pnl": perp_pnl,
    "mixture_rho": lambda v_opt, alpha: mixture_rho(v_opt, alpha),
    "mixture_log_e": lambda s, v, rho: mixture_log_e(s, v, rho),
    "mixture_bound": lambda v, alpha, rho: mixture_bound(v, alpha, rho),
    "sprt_normal": sprt,
    "betting_log_wealth": lambda x, m0: betting_log_wealth(x, m0),
    "historical_var_es": lambda returns, level: tail(historical_tail(returns, level)),
    "normal_var_es": lambda mu, sd, level: tail(normal_tail(mu, sd, level)),
    "student_var_es": lambda mu, sd, nu, level: tail(student_tail(mu, sd, nu, level)),
    "kupiec": kupiec,
    "liquidation_price": liquidation,
    "exposures": exposure,
    "max_drawdown": lambda equity: max_drawdown(np.array(equity, dtype=float)),
}
# The breaker trace is tested beside the breaker, the allocation cases beside the allocator.
OURS = [case for case in CASES if case["id"][0] in "BSR" and case["function"] != "breaker_trace"]


@pytest.mark.parametrize("case", OURS, ids=lambda case: case["id"])
def test_the_case_gives_the_expected_number(case: dict[str, Any]) -> None:
    assert_near(FUNCTIONS[case["function"]](**case["args"]), case["expected"], case["tol"])


def test_no_case_of_these_groups_is_left_out() -> None:
    assert len(OURS) == 29
