"""Research that takes a while: backtests and sweeps as jobs, their pieces, and the count of all trials."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class ResearchJob(models.Model):
    """A piece of research somebody asked for. Workers advance it in pieces; it survives any of them.

    `checkpoint` is the run between two pieces, `ledger` its record at the end: both compressed, and with the
    stored bars either gives the run back to the byte.
    """

    class Kind(models.TextChoices):
        BACKTEST = "backtest"
        SWEEP = "sweep"
        WALK_FORWARD = "walkforward"
        LOOKAHEAD = "lookahead"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELED = "canceled"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    title = models.CharField(max_length=120, blank=True)
    request = models.JSONField(help_text="what was asked for, as the API takes it")
    content_sha256 = models.CharField(
        max_length=64, blank=True, help_text="of everything the result depends on"
    )
    same_as = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, help_text="whose result this is"
    )
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    figures = models.JSONField(default=dict, help_text="the result, or that of the part that was run")
    notes = models.JSONField(default=list)
    error = models.CharField(max_length=500, blank=True)
    engine = models.CharField(max_length=10, blank=True)
    elapsed_s = models.FloatField(default=0.0, help_text="of computing, over all workers")
    checkpoint = models.BinaryField(null=True)
    ledger = models.BinaryField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    stepped_at = models.DateTimeField(null=True, help_text="when a worker last wrote something down")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="research_job_done_of_total"),
        ]
        indexes = [
            models.Index(
                fields=["state"], name="research_job_open", condition=Q(state__in=("queued", "running"))
            ),
            models.Index(fields=["content_sha256"], name="research_job_content"),
        ]

    def __str__(self) -> str:
        return self.title or f"{self.kind} {str(self.uid)[:8]}"

    @property
    def is_over(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED, self.State.CANCELED)


class ResearchPart(models.Model):
    """Some configurations of a sweep, for one worker at a time, on whatever host."""

    job = models.ForeignKey(ResearchJob, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    first = models.PositiveIntegerField(help_text="place of its first configuration in the grid")
    count = models.PositiveIntegerField()
    outcomes = models.BinaryField(null=True, help_text="of the configurations done so far, compressed")
    done = models.PositiveIntegerField(default=0)
    checkpoint = models.BinaryField(null=True, help_text="of the configuration under way")
    finished_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="research_part_of_job"),
            models.CheckConstraint(condition=Q(done__lte=F("count")), name="research_part_done_of_count"),
        ]

    def __str__(self) -> str:
        return f"part {self.number} of {self.job_id}"


class TrialTally(models.Model):
    """A sweep that was run, whoever ran it and wherever: what a best result is deflated by."""

    at = models.DateTimeField()
    strategy = models.CharField(max_length=120)
    symbol = models.CharField(max_length=32)
    interval = models.CharField(max_length=4)
    data_sha256 = models.CharField(max_length=64)
    grid = models.TextField()
    count = models.PositiveIntegerField()
    effective = models.FloatField()
    sharpe_mean = models.FloatField()
    sharpe_variance = models.FloatField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["strategy"], name="trial_tally_strategy"),
            models.Index(fields=["symbol", "interval"], name="trial_tally_series"),
        ]

    def __str__(self) -> str:
        return f"{self.count} trials of {self.strategy} on {self.symbol} {self.interval}"
