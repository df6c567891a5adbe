"""Why an intent cannot become an order, and the limit of a market-like one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Instrument, Side, exact_product, multiple_of

BPS: Final = 10_000
_ONE_BP: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the intent cannot become an order; `rule` names the venue filter or our own rule."""

    code: DenyReason
    rule: str
    measured: str | None
    limit: str | None
    detail: str


def collared_ticks(instrument: Instrument, side: Side, touch: Decimal, collar_bps: int) -> int:
    """Return the protective limit of a market-like order: the touch plus or minus the collar.

    Raises
    ------
    ValueError : the collar is negative, or 100 % and more.
    """
    if not 0 <= collar_bps < BPS:
        raise ValueError(f"expected a collar of 0 to {BPS - 1} bps, was {collar_bps}")
    limit = multiple_of(BPS + side.sign * collar_bps, exact_product(touch, _ONE_BP))
    return instrument.round_ticks(limit, side)
