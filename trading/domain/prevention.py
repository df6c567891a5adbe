"""Self-trade prevention at the venue: which mode an order carries."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum


class SelfTradePrevention(StrEnum):
    """What the venue does when two orders of one account would meet; the taker's mode decides."""

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"


_M = SelfTradePrevention
# What adds risk gives way to what rests; an exit must not be lost to an entry that happens to rest in its way.
_ENTRY = (_M.EXPIRE_TAKER, _M.EXPIRE_BOTH, _M.DECREMENT, _M.EXPIRE_MAKER)
_EXIT = (_M.EXPIRE_MAKER, _M.DECREMENT, _M.EXPIRE_BOTH, _M.EXPIRE_TAKER)


def prevention_mode(allowed: Set[str], *, exits: bool) -> SelfTradePrevention | None:
    """Return the mode to send, of those the instrument takes; None where it takes none that prevents.

    Parameters
    ----------
    exits : whether the order only closes: protection, a flatten, or one flagged reduce-only.
    """
    return next((mode for mode in (_EXIT if exits else _ENTRY) if mode in allowed), None)
