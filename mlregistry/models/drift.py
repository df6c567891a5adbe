"""Whether the market still looks like the one a version was trained on, day by day."""

from django.db import models


class DriftReport(models.Model):
    """One version on one UTC day of market time. The last report of a day is kept; the next day has its own."""

    version = models.ForeignKey("mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="drift")
    day = models.DateField()
    bars = models.PositiveIntegerField(help_text="scored on this day")
    window = models.PositiveIntegerField(help_text="rows behind the stability index and the occupancy")
    psi = models.JSONField(default=dict, help_text="population stability index of each feature")
    occupancy = models.JSONField(default=dict, help_text="share of time in each state: trained and now")
    occupancy_index = models.FloatField(
        null=True, help_text="stability index of the time in each state; null with too few rows"
    )
    occupancy_limit = models.FloatField(
        null=True, help_text="above which the time in each state is an alarm: by the model's own chain"
    )
    score_mean = models.FloatField(null=True, help_text="of the day's one-step log scores, nats")
    score_reference = models.FloatField(help_text="mean of the training's")
    cusum = models.FloatField(help_text="level after the last bar; it begins anew after an alarm")
    cusum_peak = models.FloatField(help_text="highest level of the day")
    threshold = models.FloatField()
    alarms = models.PositiveIntegerField(default=0, help_text="of the log score on this day")
    alarmed = models.JSONField(default=list, help_text="the measures that raised an alarm on this day")
    verdict = models.CharField(
        max_length=6, choices=[(word, word) for word in ("stable", "watch", "alarm")], default="stable"
    )
    last_bar_at = models.DateTimeField(help_text="close of the last bar scored")
    measured_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["version", "day"], name="one_drift_report_a_day")]

    def __str__(self) -> str:
        return f"{self.version} {self.day} {self.verdict}"
