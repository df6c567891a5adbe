"""How a USD-M account is set up at the venue: read often enough that a change made elsewhere is seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nautilus_site.common.clock import now
from trading.domain.ports import FuturesVenue
from trading.domain.values import Market
from trading.models import Account, MarginTerms
from trading.services.margin_state import margin_terms_note

READ_EVERY: Final = timedelta(minutes=5)
"""The user stream tells of a change at once; this is for what it loses, and for what it does not tell."""


def account_mode_read(account: Account, venue: FuturesVenue) -> int:
    """Keep leverage and margin type of every symbol as the venue has them now. Returns how many symbols.

    Raises
    ------
    VenueUnavailable, VenueRejected : as the venue; safe to repeat.
    """
    return margin_terms_note(account, venue.mode())


def account_mode_is_due(account: Account) -> bool:
    """Whether a USD-M account's settings were never read, or not for a while."""
    if account.market != Market.usdm:
        return False
    newest = (
        MarginTerms.objects.filter(account=account)
        .order_by("-seen_at")
        .values_list("seen_at", flat=True)
        .first()
    )
    return newest is None or now() - newest > READ_EVERY
