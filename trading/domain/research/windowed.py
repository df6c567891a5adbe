"""Running a strategy on a part of a series as if it had only just been started there, flat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from trading.domain.backtest import BacktestResult, Inputs
from trading.domain.research.evaluate import Engine, with_strategy
from trading.domain.research.outcomes import alive, period_returns
from trading.domain.statistics.figures import FloatArray
from trading.domain.strategies import Desired, Observation, Strategy
from trading.domain.values import UNITS


class Muted(Strategy):
    """A strategy that sees everything and is heard from a moment on; what it last wanted is said then.

    Its state is (the strategy's own state, what it wants and nobody has heard yet). Running fewer bars than
    the strategy's memory would start it in a state it never has live; running it unmuted would trade.
    """

    name: ClassVar[str] = "muted"
    Params: ClassVar[type] = object

    def __init__(self, strategy: Strategy, from_ns: int) -> None:
        self._strategy = strategy
        self._from_ns = from_ns

    def warmup(self, params: Any) -> int:
        """Return the strategy's own warm-up."""
        return self._strategy.warmup(params)

    def slower_intervals(self, params: Any) -> tuple[str, ...]:
        """Return what the strategy sees beside its own bars."""
        return self._strategy.slower_intervals(params)

    def reads_funding(self, params: Any) -> bool:
        """Return whether the strategy reads it."""
        return self._strategy.reads_funding(params)

    def initial(self, params: Any) -> Any:
        """Return the strategy's own first state, and nothing unheard."""
        return self._strategy.initial(params), None

    def step(self, params: Any, state: Any, observation: Observation) -> tuple[Any, Desired | None]:
        """Step the strategy; pass on what it wants once it may be heard."""
        inner, unheard = state
        inner, desired = self._strategy.step(params, inner, observation)
        if desired is None:
            desired = unheard
        if observation.now_ns < self._from_ns:
            return (inner, desired), None
        return (inner, None), desired


def run_window(
    inputs: Inputs, start: int, stop: int, *, strategy: Strategy, params: Any, engine: Engine
) -> tuple[FloatArray, BacktestResult]:
    """Return the net returns of bars start..stop-1, begun flat, and the run they are from.

    The bars before `start` that the warm-up needs are replayed without trading; the first decision heard is
    that at the close of the bar before `start`, which fills at the open of `start`.

    Parameters
    ----------
    inputs : one instrument over all bars; its strategy is replaced.

    Returns
    -------
    (stop - start,), returns from close to close; the first from the start's open where there is no bar
    before. After a ruin they are zero.

    Raises
    ------
    ValueError : not 0 <= start < stop <= bars.
    """
    series = inputs.series[0]
    if not 0 <= start < stop <= len(series):
        raise ValueError(f"expected 0 <= start < stop <= {len(series)}, were {start} and {stop}")
    lead = min(start, strategy.warmup(params))
    part = series.first(stop, start - lead)
    own = with_strategy(replace(inputs, series=[part]), strategy, params)
    result = engine(own)
    if lead and _traded_before(result, lead):
        muted = Muted(strategy, int(part.close_ns[lead - 1]))
        result = engine(with_strategy(own, muted, params))
    equity = alive(result.equity / UNITS)
    # Row 0 is the first bar's open, row k its k-th close.
    rows = np.arange(lead, len(equity), dtype=np.int64)
    return period_returns(equity, rows), result


def _traded_before(result: BacktestResult, lead: int) -> bool:
    bars = result.ledger.column("fills", "bar")
    return bool(len(bars) and int(bars[0]) < lead)
