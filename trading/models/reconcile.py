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
    trigger = models.CharField(max_length=20, help_text="start, periodic, gap, manual")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)
    report = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

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
    sightings = models.PositiveIntegerField(default=1)
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
