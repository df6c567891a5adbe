"""Comparing our books with the venue's."""

from django.db import models

from trading.models.accounts import Account


class ReconcileRun(models.Model):
    """One comparison of one account: what was found, what was booked, whether it ended clean."""

    class Outcome(models.TextChoices):
        CLEAN = "clean"
        REPAIRED = "repaired"
        DIVERGENT = "divergent"
        FAILED = "failed"

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    sweep = models.CharField(max_length=2, default="S3", help_text="S0 to S5; each contains those before it")
    trigger = models.CharField(max_length=20, help_text="start, periodic, gap, manual")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)
    report = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "sweep", "-id"], name="runs_by_account_and_sweep")]

    def __str__(self) -> str:
        return f"{self.account} {self.started_at:%H:%M:%S} {self.outcome}"


class Divergence(models.Model):
    """A difference that stays open, visible and halting until something explains it. Never repaired silently."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=120, help_text="the asset, order or symbol it is about")
    ours = models.JSONField(null=True)
    theirs = models.JSONField(null=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    same_since = models.DateTimeField(
        null=True, help_text="the first of the reads in a row that say the same"
    )
    sightings = models.PositiveIntegerField(default=1)
    evidence = models.JSONField(default=dict, help_text="what else was read, and what it says")
    doubted = models.BooleanField(
        default=False, help_text="the venue's answer contradicts itself: alarm only"
    )
    confirmed_at = models.DateTimeField(
        null=True, help_text="two reads 5 s apart and a second kind of evidence"
    )
    attempts = models.PositiveIntegerField(
        default=0, help_text="runs since then that could not explain it either"
    )
    scopes = models.JSONField(default=list, help_text="what was set to reduce, then halted, because of it")
    escalated_to = models.CharField(max_length=10, blank=True, help_text="REDUCING, then HALT_NEW")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "subject"],
                condition=models.Q(resolved_at=None),
                name="one_open_divergence",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class SweepPeriod(models.Model):
    """How often a sweep runs, where that differs from the default."""

    sweep = models.CharField(max_length=2, primary_key=True)
    every_s = models.FloatField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(every_s__gte=1), name="sweep_period_sane")]

    def __str__(self) -> str:
        return f"{self.sweep} every {self.every_s:g} s"


class SweepState(models.Model):
    """Where one account's sweep of one kind has got to."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    sweep = models.CharField(max_length=2)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True, help_text="the last one that was not stopped by an error")
    failures = models.PositiveIntegerField(
        default=0, help_text="runs in a row that failed or found something"
    )
    progress = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "sweep"], name="one_state_per_sweep")]

    def __str__(self) -> str:
        return f"{self.account} {self.sweep}"


class Statement(models.Model):
    """A signed statement of one account's day: what the venue lists, what we booked, what differs."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    day = models.DateField()
    created_at = models.DateTimeField()
    agrees = models.BooleanField(help_text="nothing differed")
    content = models.JSONField()
    digest = models.CharField(max_length=64, help_text="sha256 of the canonical text")
    signature = models.CharField(max_length=128, help_text="Ed25519 over the canonical text, base64")
    path = models.CharField(max_length=200, help_text="the file, under the platform's home")

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "day"], name="one_statement_per_day")]

    def __str__(self) -> str:
        return f"{self.account} {self.day}"
