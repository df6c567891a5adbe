"""Reading stream states."""

from __future__ import annotations

from datetime import datetime

from universe.models import StreamState


def stream_states() -> list[StreamState]:
    """Every stream, by name."""
    return list(StreamState.objects.all())


def stream_age_s(name: str, now: datetime) -> float | None:
    """Return seconds since the stream's last message, or None when it never had one."""
    last = StreamState.objects.filter(name=name).values_list("last_message_at", flat=True).first()
    return None if last is None else (now - last).total_seconds()
