"""Training as work in progress: asked for, running, over."""

import uuid

from django.conf import settings
from django.db import models


class TrainingStudy(models.Model):
    """Several runs asked for together (symbols x states x seeds); over when all of them are."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    asked = models.JSONField(help_text="what was asked for, before it was spread over runs")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "training studies"

    def __str__(self) -> str:
        return f"study {self.uid}"


class TrainingRun(models.Model):
    """One fit from bars to artefact. The row is the job: a lost message is found by the tick."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELED = "canceled"

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(
        TrainingStudy, null=True, blank=True, on_delete=models.PROTECT, related_name="runs"
    )
    family = models.ForeignKey(
        "mlregistry.ModelFamily", on_delete=models.PROTECT, related_name="training_runs"
    )
    asked = models.JSONField(help_text="recipe and window as asked for")
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    stage = models.CharField(max_length=60, blank=True, help_text="what it is doing now")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    log_likelihood = models.JSONField(default=list, help_text="trace of the running or winning fit")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    dataset = models.ForeignKey("mlregistry.Dataset", null=True, blank=True, on_delete=models.PROTECT)
    digest = models.CharField(max_length=64, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    beat_at = models.DateTimeField(null=True, help_text="last sign of life while running")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"],
                name="training_unfinished",
                condition=models.Q(state__in=["queued", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.family} {self.state}"
