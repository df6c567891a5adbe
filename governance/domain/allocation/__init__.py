"""Capital allocation: methods that give weights, limits that turn weights into money, pace between steps."""

from governance.domain.allocation.capital import (
    Adjustment,
    CapitalLimits,
    Grant,
    GroupCap,
    capital_pool,
    desired_amounts,
    project,
)
from governance.domain.allocation.covariance import ewma_covariance, shrunk_covariance, stressed_covariance
from governance.domain.allocation.hedge import (
    HedgeState,
    hedge_observe,
    hedge_rate,
    hedge_start,
    scaled_losses,
)
from governance.domain.allocation.pacing import Pace, Paced, paced
from governance.domain.allocation.routing import best_probabilities, beta_exceeds, discounted, draw_best
from governance.domain.allocation.throttle import (
    ThrottleState,
    drawdown_multiplier,
    throttle_observe,
    throttle_reset,
)
from governance.domain.allocation.weights import (
    AllocationError,
    binary_kelly,
    capped_kelly,
    equal_weights,
    hit_probability,
    inverse_volatility,
    kelly_growth_share,
    kelly_weights,
    risk_budget,
    risk_contributions,
    shrunk_means,
    with_floor,
)

__all__ = [
    "Adjustment",
    "AllocationError",
    "CapitalLimits",
    "Grant",
    "GroupCap",
    "HedgeState",
    "Pace",
    "Paced",
    "ThrottleState",
    "best_probabilities",
    "beta_exceeds",
    "binary_kelly",
    "capital_pool",
    "capped_kelly",
    "desired_amounts",
    "discounted",
    "draw_best",
    "drawdown_multiplier",
    "equal_weights",
    "ewma_covariance",
    "hedge_observe",
    "hedge_rate",
    "hedge_start",
    "hit_probability",
    "inverse_volatility",
    "kelly_growth_share",
    "kelly_weights",
    "paced",
    "project",
    "risk_budget",
    "risk_contributions",
    "scaled_losses",
    "shrunk_covariance",
    "shrunk_means",
    "stressed_covariance",
    "throttle_observe",
    "throttle_reset",
    "with_floor",
]
