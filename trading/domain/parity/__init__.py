"""Live against backtest: the same decisions on the same bars, and where results come apart, by cause."""

from trading.domain.parity.decisions import Comparison, Difference, NoParams, Said, compare, decided, scripted
from trading.domain.parity.split import Split, Traded, split

__all__ = [
    "Comparison",
    "Difference",
    "NoParams",
    "Said",
    "Split",
    "Traded",
    "compare",
    "decided",
    "scripted",
    "split",
]
