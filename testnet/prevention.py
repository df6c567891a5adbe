"""Self-trade prevention: who loses how much when an account would trade with itself."""

from __future__ import annotations

MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")


def prevented_steps(mode: str, taker: int, maker: int) -> tuple[int, int]:
    """Steps taker and maker lose by the taker's mode, given what each has left.

    Raises
    ------
    ValueError : no such mode, or one that prevents nothing.

    Source: the venue's STP FAQ.
    """
    if mode == "EXPIRE_TAKER":
        return taker, 0
    if mode == "EXPIRE_MAKER":
        return 0, maker
    if mode == "EXPIRE_BOTH":
        return taker, maker
    if mode == "DECREMENT":
        return min(taker, maker), min(taker, maker)
    raise ValueError(f"{mode}: expected one of {', '.join(MODES[1:])}")
