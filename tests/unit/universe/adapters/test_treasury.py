"""The request-weight treasury."""

from datetime import UTC, datetime, timedelta

import pytest

from trading.domain.errors import VenueUnavailable
from universe.adapters.binance.treasury import MemoryBackoffStore, Priority, WeightTreasury


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def treasury(used: int) -> tuple[WeightTreasury, Clock]:
    clock = Clock()
    made = WeightTreasury("v", MemoryBackoffStore(), now=clock)
    made.saw_headers({"X-MBX-USED-WEIGHT-1M": str(used)})
    return made, clock


def test_an_entry_is_allowed_below_and_denied_at_four_fifths_of_the_weight() -> None:
    treasury(4799)[0].permit(Priority.ENTRY)
    with pytest.raises(VenueUnavailable) as denied:
        treasury(4800)[0].permit(Priority.ENTRY)
    assert denied.value.retry_after_s == 30.0  # to the end of the minute


def test_an_exit_is_allowed_when_entries_and_reads_are_denied() -> None:
    full, _ = treasury(6000)
    full.permit(Priority.EXIT)
    for priority in (Priority.ENTRY, Priority.READ, Priority.BULK):
        with pytest.raises(VenueUnavailable):
            full.permit(priority)


def test_the_venues_counter_starts_again_with_the_minute() -> None:
    full, clock = treasury(6000)
    clock.advance(30)
    full.permit(Priority.BULK)


def test_a_ban_stops_every_call_of_every_process_until_it_ends() -> None:
    store, clock = MemoryBackoffStore(), Clock()
    one, other = WeightTreasury("v", store, now=clock), WeightTreasury("v", store, now=clock)
    other.permit(Priority.EXIT)
    one.saw_limit(90, "HTTP 418")
    clock.advance(2)  # the other process looks again at most a second later
    with pytest.raises(VenueUnavailable) as denied:
        other.permit(Priority.EXIT)
    assert denied.value.retry_after_s == 88.0
    clock.advance(88)
    other.permit(Priority.ENTRY)


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    made, clock = treasury(1)
    made.saw_limit(100, "HTTP 418")
    made.saw_limit(1, "HTTP 429")
    clock.advance(50)
    with pytest.raises(VenueUnavailable):
        made.permit(Priority.READ)
