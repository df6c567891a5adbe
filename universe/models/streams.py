"""Where each stream stands: what readiness, metrics and back-fill read."""

from django.db import models


class StreamState(models.Model):
    """One stream by name, e.g. `market:binance-spot` or `user:paper-spot`; wall times."""

    name = models.CharField(max_length=80, primary_key=True)
    connected_at = models.DateTimeField(null=True, blank=True, help_text="null while disconnected")
    last_message_at = models.DateTimeField(null=True, blank=True)
    gap_since = models.DateTimeField(null=True, blank=True, help_text="start of a gap not yet back-filled")
    reconnects = models.PositiveIntegerField(default=0)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
