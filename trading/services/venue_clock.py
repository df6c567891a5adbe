"""How far a venue's clock is ahead of ours, written down where every process can see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nautilus_site.common.clock import now
from trading.domain.ports import ExecutionVenue
from trading.models import Account, VenueClock

LATELY: Final = timedelta(seconds=60)
_compared: set[int] = set()


def clock_awaited(account_id: int) -> bool:
    """Whether a process that has just started still waits for a first look at the clock of an account's venue.

    What strategies want is held back until then, a second or two, in place of being denied order by order. Asked of
    the database until it was seen once; a comparison that grows old later is the rail's business.
    """
    if account_id in _compared:
        return False
    venue = Account.objects.filter(pk=account_id).values_list("venue__name", flat=True)[:1]
    if not VenueClock.objects.filter(venue__in=venue, measured_at__gt=now() - LATELY).exists():
        return True
    _compared.add(account_id)
    return False


def venue_clock_note(*, venue_name: str, venue: ExecutionVenue) -> VenueClock:
    """Compare the clocks and keep the difference.

    Raises
    ------
    VenueUnavailable : the venue did not say what time it is; the last comparison grows old.
    """
    # Read between two readings of ours: on a busy machine a moment may pass between any two lines.
    venue.server_time_ms()  # the call over the network, where one is due
    before = now()
    theirs = venue.server_time_ms()
    moment = now()
    ours = (before.timestamp() + moment.timestamp()) * 500
    row, _ = VenueClock.objects.update_or_create(
        venue=venue_name, defaults={"offset_ms": theirs - int(ours), "measured_at": moment}
    )
    return row
