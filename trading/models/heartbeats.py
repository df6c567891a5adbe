"""Who is alive."""

from django.db import models


class ProcessHeartbeat(models.Model):
    """One row per process kind and slot; its age is what the screens show."""

    name = models.CharField(max_length=80, primary_key=True)
    kind = models.CharField(max_length=40)
    pid = models.PositiveIntegerField()
    host = models.CharField(max_length=120)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%H:%M:%S}"
