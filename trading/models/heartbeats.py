"""Who is alive."""

from django.db import models

from trading.models.strategies import Strategy


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


class ServingHeartbeat(models.Model):
    """Which model a worker decided with last, and since when: who serves what."""

    worker = models.CharField(max_length=140, help_text="host and process id")
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="serving")
    family = models.CharField(max_length=80)
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    since = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["worker", "strategy"], name="one_serving_row_per_worker")
        ]

    def __str__(self) -> str:
        return f"{self.worker} {self.family}@{self.version}"
