"""What shadow versions would have decided, beside the champion and without orders."""

from django.db import models


class ShadowTrack(models.Model):
    """A shadow version on one of its family's instances: the strategy's state after the last bar it saw."""

    version = models.ForeignKey(
        "mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="shadow_tracks"
    )
    instance = models.ForeignKey("trading.StrategyInstance", on_delete=models.CASCADE, related_name="+")
    state = models.JSONField(null=True)
    parameters_digest = models.CharField(max_length=64, blank=True)
    last_bar_at = models.DateTimeField(null=True, help_text="open time of the last bar stepped")
    error = models.TextField(blank=True, help_text="why it does not decide; empty while it does")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "instance"], name="one_shadow_per_instance")
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.instance}"


class ShadowDecision(models.Model):
    """What one shadow wanted at one closed bar. Nothing plans it, so it can have no order."""

    version = models.ForeignKey(
        "mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="shadow_decisions"
    )
    instance = models.ForeignKey("trading.StrategyInstance", on_delete=models.CASCADE, related_name="+")
    bar_open_at = models.DateTimeField()
    price = models.DecimalField(max_digits=28, decimal_places=10, help_text="the bar's close")
    target = models.FloatField()
    confidence = models.FloatField()
    reason = models.CharField(max_length=60)
    decided_at = models.DateTimeField()

    class Meta:
        ordering = ["-bar_open_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "instance", "bar_open_at"], name="shadow_decides_once_a_bar"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.bar_open_at:%Y-%m-%d %H:%M} {self.target}"
