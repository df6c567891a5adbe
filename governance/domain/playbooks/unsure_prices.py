"""Prices a regime model cannot tell apart: bar by bar the close that leaves it least sure of its regime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from governance.domain.playbooks.signals import entropy_bits
from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused
from trading.domain.regime.filter import ClosedBar, RegimeFilter

_MOVES = (0.0, *(sign * 1e-4 * 1.5**step for step in range(13) for sign in (1.0, -1.0)))
"""Log moves from one close to the next that are tried: none, and 1 to 130 basis points either way."""
_BAND = 0.02
"""How far closes may go from the anchor: what is held should not lose by a model's rehearsal."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Closes of the bars to come, and how unsure the model would be after each, bits."""

    closes: tuple[float, ...]
    entropies: tuple[float, ...]


def least_sure(
    running: RegimeFilter, *, last: float, anchor: float, volumes: Sequence[float], bars: int
) -> Plan:
    """Choose the close of each of the next bars so that the model is as unsure after it as one bar can make it.

    A constant move will not do: evidence adds up from bar to bar, so whatever is a little likelier in one regime
    makes the model sure of it. The filter is left where it is.

    Parameters
    ----------
    last : the newest close.  anchor : the price closes stay within 2 % of.
    volumes : expected of the bars to come, base currency, in turn; they have to differ.

    Raises
    ------
    FeaturesRefused, DegenerateFilter : no close can be taken after which there are probabilities.
    """
    closes: list[float] = []
    entropies: list[float] = []
    state = running.state()
    for number in range(bars):
        volume = volumes[number % len(volumes)]
        best: tuple[tuple[float, float], float, float, RegimeFilter] | None = None
        refused: Exception | None = None
        for move in _MOVES:
            close = last * math.exp(move)
            away = abs(math.log(close / anchor))
            if away > _BAND and move:
                continue
            ahead = RegimeFilter.restored(running.model, running.digest, state)
            try:
                ahead.step(_bar(ahead, max(last, close), min(last, close), close, volume))
            except (FeaturesRefused, DegenerateFilter) as error:
                refused = error
                continue
            # Of closes as good as each other the one nearest to the anchor.
            unsure = _entropy(ahead)
            merit = (round(unsure, 2), -away)
            if best is None or merit > best[0]:
                best = (merit, unsure, close, ahead)
        if best is None:
            raise refused or FeaturesRefused("the price is out of its band")
        _, unsure, last, ahead = best
        state = ahead.state()
        closes.append(last)
        entropies.append(unsure)
    return Plan(tuple(closes), tuple(entropies))


def _bar(running: RegimeFilter, high: float, low: float, close: float, volume: float) -> ClosedBar:
    # A model that reads the funding rate is run ahead with one of zero: a rehearsal moves prices alone.
    return ClosedBar(running.close_ns + running.model.interval_ns, high, low, close, volume, volume / 2, 0.0)


def _entropy(running: RegimeFilter) -> float:
    posterior = running.posterior
    if posterior is None:
        return 0.0
    total = math.fsum(posterior)
    return entropy_bits(p / total for p in posterior)
