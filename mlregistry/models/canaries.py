"""Canaries: a version with a capped part of the champion's capital, paired with it interval by interval."""

import uuid

from django.db import models

from trading.models.columns import ledger_amount, money


class Canary(models.Model):
    """One canary, its rules as approved, and how it ended."""

    class State(models.TextChoices):
        RUNNING = "running"
        WON = "won"
        HARMED = "harmed"
        BREACHED = "breached"
        ENDED = "ended"

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey("mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="canaries")
    champion = models.ForeignKey("mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="+")
    follower = models.ForeignKey(
        "trading.Strategy", on_delete=models.PROTECT, related_name="+", help_text="decides with the champion"
    )
    strategy = models.ForeignKey(
        "trading.Strategy", on_delete=models.PROTECT, related_name="+", help_text="decides with the canary"
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    rules = models.JSONField(help_text="share, cap, alpha, interval, guard rails: as approved")
    capital = money(help_text="granted to the canary")
    champion_capital = money(help_text="left to the champion")
    step = models.PositiveSmallIntegerField(default=1, help_text="1: the first size; 2: the ramp's")
    step_at = models.DateTimeField(null=True, help_text="when the present step began; null: with the canary")
    backtest_drawdown = models.FloatField(
        null=True, help_text="what its backtest was under 99 % of the time; null without a verdict"
    )
    mark_at = models.DateTimeField(null=True, help_text="end of the last interval; null before both decided")
    marks = models.JSONField(
        default=dict,
        help_text="by account and symbol then: result and capital of the canary, and the champion's",
    )
    begun_canary = ledger_amount(default=0, help_text="the canary's result when it began")
    peak_canary = ledger_amount(default=0)
    day = models.DateField(null=True)
    day_canary = ledger_amount(default=0, help_text="the canary's result when the UTC day began")
    unmeasured_since = models.DateTimeField(null=True, help_text="since when its worth could not be told")
    n = models.PositiveIntegerField(default=0)
    log_e = models.FloatField(null=True)
    best_log_e = models.FloatField(default=0.0)
    harm_log_e = models.FloatField(default=0.0, help_text="largest so far of the mirrored test")
    low = models.FloatField(null=True, help_text="confidence sequence of the mean difference")
    high = models.FloatField(null=True)
    rails = models.JSONField(default=list, help_text="the guard rails as last measured")
    checked_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    cool_until = models.DateTimeField(null=True, help_text="before this the version may not try again")
    closed_at = models.DateTimeField(
        null=True, help_text="when its position was gone and it was switched off"
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "canaries"
        constraints = [
            models.UniqueConstraint(
                fields=["follower"],
                condition=models.Q(state__in=["running", "won"]),
                name="one_canary_per_follower",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.state}"


class CanaryObservation(models.Model):
    """One interval's paired net returns. Never changed."""

    canary = models.ForeignKey(Canary, on_delete=models.PROTECT, related_name="observations")
    number = models.PositiveIntegerField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    canary_return = models.FloatField()
    champion_return = models.FloatField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["canary", "number"], name="canary_observed_once")]

    def __str__(self) -> str:
        return f"{self.canary_id} {self.number}"
