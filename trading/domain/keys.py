"""What an executor's key may do. It trades one market; a key that can move money, or that does what we do not know,
is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NEVER: Final = frozenset(
    {
        "enableWithdrawals",
        "enableInternalTransfer",
        "permitsUniversalTransfer",
        "withdraw",
    }
)
_HARMLESS: Final = frozenset(
    {
        "enableReading",
        "enableFixReadOnly",
        "ipRestrict",
        "enableSpotAndMarginTrading",
        "enableFutures",
        "trade",
        "read",
        "futures",
        "ip_restricted",
    }
)
_UNUSED: Final = frozenset(
    {"enableMargin", "enableVanillaOptions", "enableFixApiTrade", "enablePortfolioMarginTrading"}
)
_NEEDED: Final[Mapping[str, str]] = {"spot": "enableSpotAndMarginTrading", "usdm": "enableFutures"}


def key_faults(flags: Mapping[str, bool], *, market: str, live: bool, trades: bool = True) -> list[str]:
    """Say what is wrong with a key, by the venue's flags; nothing when it is as it should be.

    Parameters
    ----------
    flags : of `GET /sapi/v1/account/apiRestrictions`.  market : `spot` or `usdm`.
    live : with real money a key is bound to addresses and has no right that is not used.
    trades : whether its purpose places or cancels orders; one that only reads needs no right to trade.
    """
    faults = [f"the key has {name}" for name in sorted(flags) if name in _NEVER and flags[name]]
    unknown = [n for n in sorted(flags) if flags[n] and n not in _NEVER | _HARMLESS | _UNUSED]
    faults += [f"the key has {name}, which we do not know" for name in unknown]
    if live:
        faults += [f"the key has {name}, which is not needed" for name in sorted(_UNUSED) if flags.get(name)]
        if not flags.get("ipRestrict", flags.get("ip_restricted", False)):
            faults.append("the key is not bound to addresses")
    needed = _NEEDED[market]
    if trades and needed in flags and not flags[needed]:
        faults.append(f"the key lacks {needed}")
    return faults
