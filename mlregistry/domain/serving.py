"""Which of several trained models may speak at a bar."""

from __future__ import annotations

from collections.abc import Sequence


def model_in_force(train_ends_ns: Sequence[int], at_ns: int, embargo_ns: int) -> int | None:
    """Return the index of the newest model whose training ended, embargo included, before `at_ns`.

    A model trained to bar t serves from t + 1 on; the embargo keeps windows that reach back into the training
    bars from being judged by it. None when every model would know the bar it speaks about.
    """
    if embargo_ns < 0:
        raise ValueError(f"expected an embargo of zero or more, was {embargo_ns} ns")
    allowed = [(end, index) for index, end in enumerate(train_ends_ns) if end + embargo_ns < at_ns]
    return max(allowed)[1] if allowed else None
