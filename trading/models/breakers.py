"""Circuit breakers and the calls they judge."""

from django.db import models


class CircuitBreaker(models.Model):
    """One breaker on one scope. `rule` and `memory` are the kernel's records as JSON."""

    class State(models.TextChoices):
        CLOSED = "closed"
        OPEN = "open"
        HALF_OPEN = "half_open"

    name = models.CharField(max_length=48)
    scope = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CLOSED)
    rule = models.JSONField()
    memory = models.JSONField(default=dict, editable=False)
    measured = models.FloatField(null=True, help_text="the last measured value, in the rule's unit")
    reason = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField()
    retry_at = models.DateTimeField(null=True, blank=True, help_text="when a probe may be let through")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "scope"], name="one_breaker_per_scope")]

    def __str__(self) -> str:
        return f"{self.name} [{self.scope}] {self.state}"


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
