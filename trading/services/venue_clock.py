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
