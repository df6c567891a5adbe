"""Research on stored bars: sweeps, walk-forward tests and look-ahead tests, and the count of trials behind them."""

from trading.services.research.lookahead import lookahead_model, lookahead_strategy
from trading.services.research.models import regimes_load
from trading.services.research.study import Study, study_open
from trading.services.research.sweep import SweepReport, sweep_run
from trading.services.research.walk_forward import WalkAsked, WalkForwardReport, walk_forward_run

__all__ = [
    "Study",
    "SweepReport",
    "WalkAsked",
    "WalkForwardReport",
    "lookahead_model",
    "lookahead_strategy",
    "regimes_load",
    "study_open",
    "sweep_run",
    "walk_forward_run",
]
