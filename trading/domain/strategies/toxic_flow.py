"""Are we being run over: what the middle does after our fills, and fills that all come from one side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trading.domain.clock import NS_PER_S
from trading.domain.strategies.base import Execution

_MEMORY = 64


class FlowState(NamedTuple):
    """What is remembered of own fills.

    Attributes
    ----------
    pending : (time ns, side, price) of fills whose outcome is not known yet.
    recent : (time ns, side) of fills inside the window of a run.
    markout_bps : exponentially weighted move of the middle in our favour after a fill.  judged : fills in it.
    """

    pending: tuple[tuple[int, int, float], ...] = ()
    recent: tuple[tuple[int, int], ...] = ()
    markout_bps: float = 0.0
    judged: int = 0


def next_flow(
    state: FlowState,
    fills: Sequence[Execution],
    mid: float,
    now_ns: int,
    *,
    markout_s: float,
    run_window_s: float,
    halflife_fills: float,
) -> FlowState:
    """Take the fills since the last step and the middle of now.

    A fill is judged at the first step at least `markout_s` after it: side * (mid - price) / price in bps, negative
    when we bought before a fall or sold before a rise.
    """
    pending = list(state.pending) + [
        (fill.time_ns, 1 if fill.quantity > 0 else -1, fill.price) for fill in fills
    ]
    recent = list(state.recent) + [(fill.time_ns, 1 if fill.quantity > 0 else -1) for fill in fills]
    due = [one for one in pending if now_ns - one[0] >= markout_s * NS_PER_S]
    markout, judged = state.markout_bps, state.judged
    keep = 0.5 ** (1.0 / halflife_fills)
    for _, side, price in due:
        move = side * (mid - price) / price * 10_000.0
        markout = move if judged == 0 else keep * markout + (1.0 - keep) * move
        judged += 1
    return FlowState(
        tuple(one for one in pending if now_ns - one[0] < markout_s * NS_PER_S)[-_MEMORY:],
        tuple(one for one in recent if now_ns - one[0] < run_window_s * NS_PER_S)[-_MEMORY:],
        markout,
        judged,
    )


def toxic_because(state: FlowState, *, limit_bps: float, least_fills: int, run_fills: int) -> str:
    """Return ADVERSE_SELECTION, ONE_SIDED_FLOW, or "" when flow is healthy.

    Parameters
    ----------
    limit_bps : mean loss after a fill beyond which flow is toxic.  least_fills : judged before that counts.
    run_fills : fills in a row from one side, with none from the other, inside the window.
    """
    if state.judged >= least_fills and state.markout_bps < -limit_bps:
        return "ADVERSE_SELECTION"
    sides = {side for _, side in state.recent}
    if len(state.recent) >= run_fills and len(sides) == 1:
        return "ONE_SIDED_FLOW"
    return ""
