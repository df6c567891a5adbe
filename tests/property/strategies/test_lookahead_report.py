"""The platform's own look-ahead test finds nothing in the strategies that trade on bars: signals, orders, positions.

Of the two that trade at books the market maker's whole replay is cut short in `tests/property/backtest`, and the
sniper's steps in `test_causality.py`: it buys nothing on candles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.property.backtest.markets import MINUTE_NS, series
from tests.unit.trading.domain.strategies.regimes import artefact, flat_model, two_clock_model, write
from trading.domain.backtest import Assignment, Inputs, Settings
from trading.domain.research.lookahead import find_lookahead
from trading.domain.research.subjects import bar_table, strategy_subject
from trading.domain.strategies import parse_params, registry

BARS, CUTS = 220, 8
SMALL = {
    "moving_average": {"fast": 3, "slow": 7},
    "trend_follow": {
        "entry": 6, "exit": 3, "momentum_short": 3, "momentum_medium": 6, "momentum_long": 12, "atr_window": 5,
    },
    "hmm_policy": {"confidence_floor": 0.05},
    "ma_hmm_ensemble": {"fast": 3, "slow": 7},
    "hierarchical_hmm": {"least_slow_bars": 1, "confidence_floor": 0.0, "horizon": 0, "band": 0.0},
}  # fmt: skip


@pytest.mark.parametrize("name", list(SMALL))
def test_no_signal_order_or_position_knows_later_bars(name: str, tmp_path: Path) -> None:
    kind, values = registry()[name], dict[str, Any](SMALL[name])
    if name == "hierarchical_hmm":
        clocks = two_clock_model(interval_ns=MINUTE_NS, slow_interval_ns=5 * MINUTE_NS)
        values["model"] = str(tmp_path / write(tmp_path, artefact(clocks, held_out={"gain": 1.0})))
    elif name.endswith(("policy", "ensemble")):
        # Minutes, trained up to a third of the way: bars of the training window and after it are both seen.
        model = flat_model(interval="1m", deviations=(0.001, 0.003), means=(0.0002, -0.0005))
        values["model"] = str(tmp_path / write(tmp_path, artefact(model)))
    strategy, params = kind(), parse_params(kind.Params, values)
    market = series(5, BARS)
    inputs = Inputs([market], [Assignment(market.symbol, strategy, params)], Settings())
    subject, table = strategy_subject(inputs, strategy, params), bar_table(market)
    assert np.any(subject(table)["position"] != 0)
    found = find_lookahead(subject, table, rng=np.random.default_rng(0), cuts=CUTS)
    assert found.leaks == ()
    assert {"target", "reason", "order", "position"} <= set(found.columns)
