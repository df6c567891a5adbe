"""What a comparison of live and backtest found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from trading.domain.parity import Comparison, Split


@dataclass(frozen=True, slots=True)
class ParityReport:
    """One instance over one span.

    Attributes
    ----------
    comparison : decisions by bar.  split : None where nothing was traded by either.
    skipped : decisions that cannot be compared, by reason.
    timing : medians in seconds of wall time from a decision to its order sent, acknowledged, filled.
    """

    strategy: str
    account: str
    symbol: str
    interval: str
    start: datetime
    end: datetime
    comparison: Comparison
    split: Split | None
    skipped: dict[str, int] = field(default_factory=dict)
    timing: dict[str, float | None] = field(default_factory=dict)
    orders: int = 0
    denied: dict[str, int] = field(default_factory=dict)
