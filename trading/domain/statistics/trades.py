"""Round trips: how often, how much, how long. Every result is net of fees and funding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.domain.clock import NS_PER_S
from trading.domain.statistics.figures import Figure, FloatArray, IntArray, figure, undefined

_NONE = "there are no trades"


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Closed round trips, in the order of their exits.

    Attributes
    ----------
    entry_ns, exit_ns : (N,).  net : (N,), quote units after fees and funding.
    entry_notional : (N,), quote units put in; positive.
    """

    entry_ns: IntArray
    exit_ns: IntArray
    net: FloatArray
    entry_notional: FloatArray

    def __post_init__(self) -> None:
        sizes = {len(self.entry_ns), len(self.exit_ns), len(self.net), len(self.entry_notional)}
        if len(sizes) != 1:
            raise ValueError(f"expected arrays of one length, were {sorted(sizes)}")
        if (self.exit_ns < self.entry_ns).any():
            raise ValueError("a trade ends before it begins")
        if not (np.isfinite(self.net).all() and (self.entry_notional > 0).all()):
            raise ValueError("expected finite results and positive notionals")

    def __len__(self) -> int:
        return len(self.net)


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """What the round trips say together.

    Attributes
    ----------
    wins, losses : with a net result above and below zero; the rest broke even and count in `trades` only.
    win_rate : wins / trades.  profit_factor : sum of wins / -sum of losses.
    expectancy : mean net result, quote units.  expectancy_bps : mean of net / entry notional, in bps.
    average_win, average_loss : quote units; the loss is negative.  payoff : average win / -average loss.
    longest_wins, longest_losses : in a row; a trade that broke even ends both.
    mean_holding_s : entry to exit.  t_statistic : mean / (sd / sqrt n) of the net results.
    """

    trades: int
    wins: int
    losses: int
    win_rate: Figure
    profit_factor: Figure
    expectancy: Figure
    expectancy_bps: Figure
    average_win: Figure
    average_loss: Figure
    payoff: Figure
    best: Figure
    worst: Figure
    longest_wins: int
    longest_losses: int
    mean_holding_s: Figure
    t_statistic: Figure


def trade_figures(trips: RoundTrips) -> TradeFigures:
    """Return the statistics of closed round trips."""
    n = len(trips)
    net = trips.net
    won, lost = net[net > 0], net[net < 0]
    mean_win = Figure(float(won.mean())) if len(won) else undefined("no trade won")
    mean_loss = Figure(float(lost.mean())) if len(lost) else undefined("no trade lost")
    if not n:
        none = undefined(_NONE)
        return TradeFigures(0, 0, 0, none, none, none, none, none, none, none, none, none, 0, 0, none, none)
    if not len(lost):
        profit_factor = payoff = undefined("no trade lost")
    else:
        profit_factor = figure(float(won.sum() / -lost.sum()), "the losses are too small to divide by")
        payoff = (
            mean_win
            if mean_win.value is None
            else figure(float(mean_win.value / -lost.mean()), "the losses are too small to divide by")
        )
    spread = float(net.std(ddof=1)) if n > 1 else 0.0
    return TradeFigures(
        trades=n,
        wins=len(won),
        losses=len(lost),
        win_rate=Figure(len(won) / n),
        profit_factor=profit_factor,
        expectancy=Figure(float(net.mean())),
        expectancy_bps=Figure(float(np.mean(net / trips.entry_notional)) * 1e4),
        average_win=mean_win,
        average_loss=mean_loss,
        payoff=payoff,
        best=Figure(float(net.max())),
        worst=Figure(float(net.min())),
        longest_wins=_longest_run(net > 0),
        longest_losses=_longest_run(net < 0),
        mean_holding_s=Figure(float(np.mean(trips.exit_ns - trips.entry_ns)) / NS_PER_S),
        t_statistic=figure(float(net.mean()) / (spread / n**0.5), "not finite")
        if spread > 0
        else undefined("the results do not vary"),
    )


def _longest_run(true: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], true.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
