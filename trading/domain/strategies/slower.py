"""Slower bars made of the fast ones they consist of, for whoever has the fast ones as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trading.domain.clock import bar_open_ns, interval_ns
from trading.domain.strategies.base import Bar

NONE: Mapping[str, Bar] = MappingProxyType({})


def bars_within(interval: str, slower: Sequence[str]) -> int:
    """How many bars of `interval` the longest of the slower ones holds; 0 for none.

    Raises
    ------
    ValueError : one is no whole multiple of `interval`, or no interval.
    """
    fast = interval_ns(interval)
    for name in slower:
        if interval_ns(name) <= fast or interval_ns(name) % fast:
            raise ValueError(f"{name} is no whole multiple of {interval}")
    return max((interval_ns(name) // fast for name in slower), default=0)


def slower_closing(bars: Sequence[Bar], at: int, interval: str, slower: Sequence[str]) -> Mapping[str, Bar]:
    """Return the slower bars that close with `bars[at]`, by interval; one that is not whole is left out.

    Parameters
    ----------
    bars : of `interval`, ascending, each at most once.
    """
    found: dict[str, Bar] = {}
    last, fast = bars[at], interval_ns(interval)
    for name in slower:
        slow = interval_ns(name)
        begins = bar_open_ns(last.open_ns, name)
        first = at - slow // fast + 1
        # As many bars as it holds, from its first to its last: then none is missing.
        if last.open_ns + fast != begins + slow or first < 0 or bars[first].open_ns != begins:
            continue
        found[name] = _joined(bars[first : at + 1])
    return MappingProxyType(found) if found else NONE


def _joined(bars: Sequence[Bar]) -> Bar:
    import numpy as np  # only who looks at slower bars pays for it

    # numpy adds in pairs, as the backtester does: the last bit is the same there and here.
    volume, quote_volume, taker_base = (
        float(np.array([getattr(bar, name) for bar in bars]).sum())
        for name in ("volume", "quote_volume", "taker_base")
    )
    return Bar(
        open_ns=bars[0].open_ns,
        close_ns=bars[-1].close_ns,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=volume,
        quote_volume=quote_volume,
        trades=sum(bar.trades for bar in bars),
        taker_base=taker_base,
    )
