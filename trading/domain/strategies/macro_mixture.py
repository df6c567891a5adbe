"""The micro chain's transitions as the macro regime is known: one matrix out of several, by probability."""

from __future__ import annotations

from typing import Any

from trading.domain.strategies.compiled import numeric


@numeric
def mixed_transition(macro: Any, transitions: Any, out: Any) -> None:
    """Write sum_k P(macro k) A^(k), (M M,) by rows, into `out`; `transitions` (K M M,) by rows, `macro` (K,)."""
    size = out.shape[0]
    for i in range(size):
        total = 0.0
        for k in range(macro.shape[0]):
            total += macro[k] * transitions[k * size + i]
        out[i] = total
