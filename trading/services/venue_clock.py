"""How far a venue's clock is ahead of ours, written down where every process can see it."""

from __future__ import annotations

from nautilus_site.common.clock import now
from trading.domain.ports import ExecutionVenue
from trading.models import VenueClock


def venue_clock_note(*, venue_name: str, venue: ExecutionVenue) -> VenueClock:
    """Compare the clocks and keep the difference.

    Raises
    ------
    VenueUnavailable : the venue did not say what time it is; the last comparison grows old.
    """
    theirs = venue.server_time_ms()
    moment = now()
    row, _ = VenueClock.objects.update_or_create(
        venue=venue_name,
        defaults={"offset_ms": theirs - int(moment.timestamp() * 1000), "measured_at": moment},
    )
    return row
