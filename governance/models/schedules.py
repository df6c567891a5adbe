"""What became of each periodic job: when it was last sent, by which beat, how long it took, how it ended."""

from django.conf import settings
from django.db import models


class ScheduleState(models.Model):
    """One row per periodic task. `sent_at` is the claim: whoever moves it sends the message, and nobody else does."""

    class Result(models.TextChoices):
        OK = "ok"
        FAILED = "failed"

    name = models.CharField(max_length=200, primary_key=True, help_text="of the periodic task")
    since = models.DateTimeField(help_text="when it was first seen; lateness counts from here at first")
    sent_at = models.DateTimeField(null=True)
    sent_by = models.CharField(max_length=80, blank=True)
    started_at = models.DateTimeField(
        null=True, help_text="when a worker took up the last run; kept of jobs that may be run by hand"
    )
    finished_at = models.DateTimeField(null=True)
    duration_s = models.FloatField(null=True)
    result = models.CharField(max_length=6, choices=Result.choices, blank=True)
    error = models.CharField(max_length=300, blank=True)
    runs = models.BigIntegerField(default=0)
    failures = models.BigIntegerField(default=0)
    failures_in_row = models.BigIntegerField(default=0, db_default=0, help_text="since it last ended well")
    failing_since = models.DateTimeField(null=True, help_text="when the first of these ended")
    refused = models.BigIntegerField(default=0, help_text="messages a second beat would have sent")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.result or 'not run yet'}"


class ScheduleRun(models.Model):
    """A run of a job that a person asked for, out of turn."""

    name = models.CharField(max_length=200, db_index=True, help_text="of the periodic task")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    asked_at = models.DateTimeField(db_index=True)
    worthless_at = models.DateTimeField(help_text="a worker that has not taken it up by then drops it")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    duration_s = models.FloatField(null=True)
    result = models.CharField(max_length=6, choices=ScheduleState.Result.choices, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name}, asked for by {self.asked_by}"
