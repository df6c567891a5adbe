"""Live against backtest: the same decisions on the same bars, and where results come apart, by cause."""

from trading.domain.parity.decisions import Comparison, Difference, NoParams, Said, compare, decided, scripted
from trading.domain.parity.followed import Followed, Top, quotes_followed, targets_followed
from trading.domain.parity.observed import Again, Step, decide_again, said_of
from trading.domain.parity.split import Split, Traded, split

__all__ = [
    "Again",
    "Comparison",
    "Difference",
    "Followed",
    "NoParams",
    "Said",
    "Split",
    "Step",
    "Top",
    "Traded",
    "compare",
    "decide_again",
    "decided",
    "quotes_followed",
    "said_of",
    "scripted",
    "split",
    "targets_followed",
]
