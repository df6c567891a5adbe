"""Circuit breakers, what they measure by, and the calls and samples they judge."""

from typing import Any

from django.db import models

from trading.domain.breakers import BreakerRule


class CircuitBreaker(models.Model):
    """One breaker on one scope: its rule, where it stands, and why. `memory` is the kernel's record as JSON."""

    class State(models.TextChoices):
        CLOSED = "closed"
        OPEN = "open"
        HALF_OPEN = "half_open"

    class Action(models.TextChoices):
        """What it does while it is open; every one also denies new risk."""

        OPEN = "open", "deny new risk"
        REDUCING = "REDUCING", "level REDUCING"
        HALT_NEW = "HALT_NEW", "level HALT_NEW"
        CANCEL = "CANCEL", "level CANCEL"

    class Reset(models.TextChoices):
        AUTO = "auto", "by itself, through probes"
        MANUAL = "manual", "by two people"

    name = models.CharField(max_length=48, help_text="the measure it judges by")
    scope = models.CharField(max_length=120)
    is_enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CLOSED)
    window_s = models.FloatField(default=60, help_text="how far back is looked")
    threshold = models.FloatField(default=50, help_text="opens at this value, in `unit`")
    unit = models.CharField(max_length=12, default="%", editable=False)
    min_samples = models.PositiveIntegerField(default=10, help_text="fewer prove nothing")
    cooldown_s = models.FloatField(default=10, help_text="first wait; doubles with each failed probe")
    cooldown_max_s = models.FloatField(default=300)
    half_open_successes = models.PositiveSmallIntegerField(default=3, help_text="good probes that close it")
    action = models.CharField(max_length=10, choices=Action.choices, default=Action.OPEN)
    reset = models.CharField(max_length=6, choices=Reset.choices, default=Reset.AUTO)
    memory = models.JSONField(default=dict, editable=False)
    measured = models.FloatField(null=True, help_text="the last measured value, in the rule's unit")
    samples = models.PositiveIntegerField(null=True, help_text="what the last value rests on")
    reason = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField()
    evaluated_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="when a probe may be let through")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "scope"], name="one_breaker_per_scope"),
            # A level that cancels is latched; what falls by itself never reaches it.
            models.CheckConstraint(
                condition=~models.Q(action="CANCEL", reset="auto"), name="cancel_is_never_reset_automatically"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} [{self.scope}] {self.state}"

    @property
    def rule(self) -> BreakerRule:
        """The kernel's record of the rule."""
        return BreakerRule(
            window_s=self.window_s,
            min_samples=self.min_samples,
            threshold=self.threshold,
            cooldown_s=self.cooldown_s,
            cooldown_max_s=self.cooldown_max_s,
            half_open_successes=self.half_open_successes,
        )

    @property
    def rule_members(self) -> dict[str, Any]:
        """The rule as it is shown and changed."""
        return {name: getattr(self, name) for name in RULE_FIELDS}


RULE_FIELDS = (
    *("is_enabled", "window_s", "threshold", "min_samples", "cooldown_s", "cooldown_max_s"),
    *("half_open_successes", "action", "reset"),
)


class BreakerPolicy(CircuitBreaker):
    """The same rows, looked at for their rules: what changes one is another decision than what opens or resets it."""

    class Meta:
        proxy = True
        verbose_name_plural = "breaker policies"


class VenueCallWindow(models.Model):
    """Calls to a venue per second of wall time, summed over all processes."""

    venue = models.CharField(max_length=40)
    second = models.BigIntegerField()
    calls = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "second"], name="one_window_per_second")]

    def __str__(self) -> str:
        return f"{self.venue} {self.second}: {self.errors}/{self.calls}"


class BreakerSample(models.Model):
    """One measured value of what no other row tells: clock offsets, commit times, margin, codes of refusal."""

    name = models.CharField(max_length=48)
    scope = models.CharField(max_length=120)
    at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["name", "scope", "-at"], name="samples_by_time")]

    def __str__(self) -> str:
        return f"{self.name} [{self.scope}] {self.value:g}"
