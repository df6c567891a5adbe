"""Recording where a stream stands."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from universe.models import StreamState


@transaction.atomic
def stream_connected(*, name: str, at: datetime) -> StreamState:
    """Record a connection. A gap stays open until `stream_gap_closed`; the first connection is one too."""
    state, created = StreamState.objects.select_for_update(no_key=True).get_or_create(name=name)
    if created or state.gap_since is None:
        # Nothing proves what passed before this moment, so it counts as a gap until back-filled.
        state.gap_since = at
    state.reconnects += 0 if created else 1
    state.connected_at, state.last_message_at, state.detail = at, at, ""
    state.save()
    return state


def stream_disconnected(*, name: str, at: datetime, reason: str) -> None:
    """Record a loss; the gap starts at the last message."""
    StreamState.objects.get_or_create(name=name)
    StreamState.objects.filter(name=name).update(connected_at=None, detail=reason[:300])
    missing = StreamState.objects.filter(name=name, gap_since=None)
    missing.filter(last_message_at=None).update(gap_since=at)
    missing.exclude(last_message_at=None).update(gap_since=F("last_message_at"))


def stream_heard(*, name: str, at: datetime) -> None:
    """Record the newest message; call it once a second, not per message."""
    StreamState.objects.filter(name=name).update(last_message_at=at)


def stream_gap_closed(*, name: str, since: datetime) -> bool:
    """Close the gap that a back-fill covered; false when a newer loss has opened it again."""
    return bool(StreamState.objects.filter(name=name, gap_since=since).update(gap_since=None))
