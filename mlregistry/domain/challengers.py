"""How several challengers of one champion share the probability of a false promotion."""

from __future__ import annotations


def alpha_share(alpha: float, earlier: int) -> float:
    """Return alpha / 2^(earlier + 1): the first may use a half, the next a quarter; all of them together at most alpha.

    Raises
    ------
    ValueError : fewer than no challengers before it.
    """
    if earlier < 0:
        raise ValueError(f"expected zero challengers or more before it, was {earlier}")
    return alpha / 2.0 ** (earlier + 1)
