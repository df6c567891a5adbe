"""What the top of the book has done lately: when it last changed, and how much the middle moves."""

from __future__ import annotations

import math
from typing import NamedTuple

from trading.domain.clock import NS_PER_S
from trading.domain.strategies.base import Observation


class BookState(NamedTuple):
    """The book as last seen.

    Attributes
    ----------
    top : (bid, ask, bid size, ask size).  changed_ns : market time it last changed.
    mid, mid_ns : the middle and when it was taken.  since_ns : from when the variance counts.
    variance : exponentially weighted, of the middle, bps^2 per second.
    """

    top: tuple[float, ...] = ()
    changed_ns: int = 0
    mid: float = 0.0
    mid_ns: int = 0
    since_ns: int = 0
    variance: float = 0.0


def next_book(state: BookState, seen: Observation, window_s: float, stale_s: float) -> BookState:
    """Take the book of an observation; its two sides must be there.

    A hole in time longer than `stale_s` starts the variance anew: what happened in it was not seen.
    """
    top = (seen.bid, seen.ask, seen.bid_size, seen.ask_size)
    mid = (seen.bid + seen.ask) / 2.0
    changed_ns = seen.now_ns if top != state.top else state.changed_ns
    elapsed_s = (seen.now_ns - state.mid_ns) / NS_PER_S
    if state.mid_ns == 0 or elapsed_s > stale_s:
        return BookState(top, changed_ns, mid, seen.now_ns, seen.now_ns, 0.0)
    if elapsed_s <= 0.0:
        return state._replace(top=top, changed_ns=changed_ns)
    move_bps = math.log(mid / state.mid) * 10_000.0
    weight = -math.expm1(-elapsed_s / window_s)
    variance = state.variance + weight * (move_bps * move_bps / elapsed_s - state.variance)
    return BookState(top, changed_ns, mid, seen.now_ns, state.since_ns, variance)


def book_trouble(
    state: BookState,
    now_ns: int,
    *,
    stale_s: float,
    widest_bps: float,
    sigma_bps: float,
    spike: float,
    window_s: float,
) -> str:
    """Return why no quote may stand in this book: STALE_BOOK, WIDE_SPREAD, VOLATILITY_SPIKE, or "".

    The volatility is judged once a third of its window has been seen.
    """
    if now_ns - state.changed_ns > stale_s * NS_PER_S:
        return "STALE_BOOK"
    bid, ask = state.top[0], state.top[1]
    if (ask - bid) / state.mid * 10_000.0 > widest_bps:
        return "WIDE_SPREAD"
    watched_s = (state.mid_ns - state.since_ns) / NS_PER_S
    if watched_s >= window_s / 3.0 and math.sqrt(state.variance) > spike * sigma_bps:
        return "VOLATILITY_SPIKE"
    return ""
