"""Advancing a run in pieces short enough to keep a lease."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from nautilus_site.common.services.leases import Held, lease_renew
from trading.domain.backtest import BacktestRun

LEASE_LIFE: Final = timedelta(seconds=30)
PIECE_S: Final = 0.2
FIRST_PIECE: Final = 2_000


def run_advance(run: BacktestRun, held: Held, budget_s: float) -> None:
    """Run for about so many seconds, in pieces short enough to keep the lease."""
    until, piece = time.monotonic() + budget_s, FIRST_PIECE
    while not run.finished:
        before = time.monotonic()
        run.advance(piece)
        after = time.monotonic()
        if after >= until or not lease_renew(held, life=LEASE_LIFE):
            return
        piece = max(1, min(piece * 4, int(piece * PIECE_S / max(after - before, 1e-6))))
