"""When a difference counts. One answer of a venue proves nothing: it may lag, and it has shown empty accounts.

A difference is confirmed by two reads at least five seconds apart that say the same, and evidence of a second
kind: the trade list that was read to its end and explains nothing, a look-up that agrees with a list. An answer
that contradicts everything else is doubted: it alarms, and nothing else follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

READS_APART_S: Final = 5.0
ATTEMPTS_BEFORE_HALT: Final = 5
"""Runs that try to explain a confirmed difference before its symbol is halted. The runs go on for ever."""


class Standing(StrEnum):
    """How far a difference has got."""

    SEEN = "seen"
    CONFIRMED = "confirmed"
    HALTING = "halting"
    DOUBTED = "doubted"


def is_confirmed(*, same_for_s: float, reads: int, second_evidence: bool, doubted: bool) -> bool:
    """Tell whether a difference counts.

    Parameters
    ----------
    same_for_s : seconds between the first and the last of the reads in a row that showed the same difference.
    """
    return not doubted and second_evidence and reads >= 2 and same_for_s >= READS_APART_S


def halts(attempts: int) -> bool:
    """Tell whether reducing is no longer enough: the bounded attempts at an explanation are used up."""
    return attempts >= ATTEMPTS_BEFORE_HALT


@dataclass(frozen=True, slots=True)
class BalanceVerdict:
    """What a reading of all balances says: the assets that differ (ours, theirs), or that it cannot be believed."""

    differing: Mapping[str, tuple[Decimal, Decimal]]
    doubt: str = ""


def judge_balances(
    ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal], locked_by_open_orders: Iterable[str] = ()
) -> BalanceVerdict:
    """Compare every asset of the ledger with a reading of the venue.

    Parameters
    ----------
    ours, theirs : asset -> amount held; assets that are left out hold nothing.
    locked_by_open_orders : assets that orders the venue lists as open must be holding.

    A reading that shows nothing at all of an account that holds something is doubted (2025-10-10: 33 minutes of
    zero balances), and so is one that shows nothing of an asset the venue's own open orders hold.
    """
    held = {asset for asset, amount in ours.items() if amount != 0}
    shown = {asset for asset, amount in theirs.items() if amount != 0}
    if held and not shown:
        return BalanceVerdict({}, "the venue shows no balance at all")
    missing = sorted(set(locked_by_open_orders) - shown)
    if missing:
        return BalanceVerdict({}, f"the venue shows no {', '.join(missing)}, which its own open orders hold")
    zero = Decimal(0)
    return BalanceVerdict(
        {
            asset: (ours.get(asset, zero), theirs.get(asset, zero))
            for asset in sorted(held | shown)
            if ours.get(asset, zero) != theirs.get(asset, zero)
        }
    )


def judge_positions(
    ours: Mapping[tuple[str, str], Decimal],
    theirs: Mapping[tuple[str, str], Decimal],
    *,
    wallet_is_empty: bool,
) -> tuple[dict[tuple[str, str], tuple[Decimal, Decimal]], str]:
    """Compare positions by (symbol, side). Returns what differs, or a doubt in place of it.

    No position at all where we hold several, or beside an empty wallet, is an answer that cannot be believed;
    a single position that is gone is a difference like any other.
    """
    zero = Decimal(0)
    held = {key for key, quantity in ours.items() if quantity != 0}
    shown = {key for key, quantity in theirs.items() if quantity != 0}
    if held and not shown and (wallet_is_empty or len(held) > 1):
        return {}, "the venue shows no position at all"
    return {
        key: (ours.get(key, zero), theirs.get(key, zero))
        for key in sorted(held | shown)
        if ours.get(key, zero) != theirs.get(key, zero)
    }, ""
