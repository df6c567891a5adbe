"""How often each sweep runs: the defaults, and the rows that say otherwise."""

from __future__ import annotations

from trading.domain.sweeps import PERIODS_S, Sweep
from trading.models import SweepPeriod


def sweep_periods() -> dict[Sweep, float]:
    """Seconds between two sweeps of a kind, as in force."""
    rows = dict(SweepPeriod.objects.values_list("sweep", "every_s"))
    return {sweep: float(rows.get(sweep.value, default)) for sweep, default in PERIODS_S.items()}
