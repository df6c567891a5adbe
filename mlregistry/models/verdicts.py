"""What the gate said of a version, and why."""

import uuid

from django.conf import settings
from django.db import models


class GateVerdict(models.Model):
    """One judgement of one version beside the champion of its family. The row is the job, and then the record.

    What is over is never changed again; a trigger refuses it.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELED = "canceled"

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey("mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="verdicts")
    champion = models.ForeignKey(
        "mlregistry.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="whom it was judged beside; none: holding nothing",
    )
    asked = models.JSONField(help_text="folds, bars and first training part as asked for")
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    stage = models.CharField(max_length=60, blank=True, help_text="what it is doing now")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    passed = models.BooleanField(null=True)
    criteria = models.JSONField(default=list, help_text="name, measured, limit, passed of each, in order")
    figures = models.JSONField(default=dict, help_text="the numbers behind the criteria")
    policy = models.JSONField(default=dict, help_text="the strategy and parameters both were judged under")
    bars_sha256 = models.CharField(max_length=64, blank=True, help_text="of the stored file of bars")
    error = models.TextField(blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
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
                name="verdicts_unfinished",
                condition=models.Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["version", "-finished_at"], name="verdicts_by_version"),
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.state}"
