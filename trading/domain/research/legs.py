"""Several strategies on one account: who trades what with which share of the capital."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.values import decimal_of, decimal_text, normalise_symbol

MOST_LEGS = 40


@dataclass(frozen=True, slots=True)
class AskedLeg:
    """One strategy on one symbol; `share` of the capital above 0 and at most 1, None: of what others leave."""

    strategy: str
    symbol: str
    params: Mapping[str, Any] = field(default_factory=dict)
    share: Decimal | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain data that `leg_of` reads again."""
        share = None if self.share is None else decimal_text(self.share)
        return {"strategy": self.strategy, "symbol": self.symbol, "params": dict(self.params), "share": share}

    def words(self) -> list[str]:
        """Return what follows `--also` on a command line."""
        share = [] if self.share is None else [f"share={decimal_text(self.share)}"]
        return [f"{self.strategy}@{self.symbol}", *share, *(f"{k}={v}" for k, v in self.params.items())]


def run_name(legs: Sequence[AskedLeg], interval: str) -> str:
    """Return what a run is called: each strategy once with its symbols; of many the first few."""
    if len(legs) == 1:
        return f"{legs[0].strategy} {legs[0].symbol} {interval}"
    named = [f"{leg.strategy} {leg.symbol}" for leg in legs]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"{' + '.join(named[:3])}{more}, {interval}"


def leg_of(members: Mapping[str, Any]) -> AskedLeg:
    """Read a leg from plain data.

    Raises
    ------
    KeyError, ValueError : a member is missing or wrong.
    """
    share = members.get("share")
    return AskedLeg(
        members["strategy"],
        members["symbol"],
        dict(members.get("params") or {}),
        None if share is None else Decimal(str(share)),
    )


def leg_from_words(words: Sequence[str]) -> AskedLeg:
    """Read `STRATEGY@SYMBOL [share=0.3] [name=value ...]`.

    Raises
    ------
    ValueError : it is written otherwise.
    """
    strategy, at, symbol = words[0].rpartition("@")
    if not at or not strategy or not symbol:
        raise ValueError(f"expected STRATEGY@SYMBOL, was {words[0]!r}")
    params: dict[str, str] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"expected name=value, was {word!r}")
        params[name] = value
    share = params.pop("share", None)
    return AskedLeg(strategy, normalise_symbol(symbol), params, None if share is None else decimal_of(share))


def shares_of(legs: Sequence[AskedLeg], *, by_symbol: bool) -> list[int]:
    """Return each leg's share, parts of 1e-8; legs without one have what the others leave, in equal parts.

    Parameters
    ----------
    by_symbol : whether what is shared is the quantity of each symbol, not the capital of the account.

    Raises
    ------
    ValueError : they do not fit.
    """
    if len(legs) > MOST_LEGS:
        raise ValueError(f"expected at most {MOST_LEGS} legs, were {len(legs)}")
    pools = [leg.symbol if by_symbol else "" for leg in legs]
    given: Counter[str] = Counter()
    open_legs = Counter(pool for pool, leg in zip(pools, legs, strict=True) if leg.share is None)
    for pool, leg in zip(pools, legs, strict=True):
        if leg.share is not None:
            if not 0 < leg.share <= 1:
                raise ValueError(f"expected a share above 0 and at most 1, was {leg.share}")
            given[pool] += int(leg.share * PARTS)
    found = []
    for pool, leg in zip(pools, legs, strict=True):
        left = PARTS - given[pool]
        if left < 0 or (leg.share is None and left < open_legs[pool]):
            raise ValueError("the shares sum to more than there is")
        found.append(left // open_legs[pool] if leg.share is None else int(leg.share * PARTS))
    return found
