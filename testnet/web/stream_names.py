"""Which market a stream name belongs to."""

from __future__ import annotations

import re

SPOT, USDM = "spot", "usdm"
# What only the futures market sends.
_USDM_ONLY = re.compile(
    r"""
      .*@markPrice(@.*)? | !markPrice@arr(@.*)?
    | .*@continuousKline_.* | .*@forceOrder | !forceOrder@arr
    | .*@depth(5|10|20)?@(0ms|250ms|500ms) | .*@rpiDepth(@.*)?
    | !contractInfo | !assetIndex@arr | .*@compositeIndex | tradingSession
    """,
    re.VERBOSE,
)
_LISTEN_KEY = re.compile(r"[A-Za-z0-9]{60,}")


def is_usdm_only(name: str) -> bool:
    """True for a stream the spot market does not have."""
    return _USDM_ONLY.fullmatch(name) is not None


def is_listen_key(name: str) -> bool:
    """True for a name shaped like a listen key; streams of market data look different."""
    return "@" not in name and _LISTEN_KEY.fullmatch(name) is not None


def symbol_of(name: str) -> str | None:
    """The symbol a stream is about, in upper case; None for streams of all symbols and listen keys."""
    symbol, at, _ = name.partition("@")
    return symbol.upper() if at and not symbol.startswith("!") else None
