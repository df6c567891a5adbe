"""Asking a venue what a key may do, and judging the answer. Silence is a fault where real money is."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from trading.domain.errors import VenueRejected
from trading.domain.keys import key_faults
from trading.domain.ports import ExecutionVenue


def key_verdict(
    venue: ExecutionVenue, *, market: str, trades: bool = True
) -> tuple[Mapping[str, bool], list[str]]:
    """The venue's flags of the key that `venue` is reached with, and what is wrong with them.

    `trades`: whether its purpose places or cancels orders, and so needs the right to.

    Raises
    ------
    VenueUnavailable, OutcomeUnknown : the venue did not answer.
    """
    live = settings.BINANCE_ENV == "live"
    try:
        flags = venue.key_permissions()
    except VenueRejected as error:
        return {}, [f"the venue does not say what the key may do: {error.code}"]
    if flags is None:
        # Only a testnet has no such call; the real exchange must say what a key may do.
        return {}, ["the venue does not say what the key may do"] if live else []
    return flags, key_faults(flags, market=market, live=live, trades=trades)
