"""How often a version's live filter named the paper exchange's true regime, day by day."""

from django.db import models


class TruthReport(models.Model):
    """One version on one UTC day of market time; the newest of a day is kept. Only the paper exchange tells."""

    version = models.ForeignKey("mlregistry.ModelVersion", on_delete=models.PROTECT, related_name="truth")
    day = models.DateField(help_text="of the last bar measured")
    rows = models.PositiveIntegerField(help_text="bars measured, all after training")
    accuracy = models.FloatField(help_text="share whose likeliest state is that of the true regime")
    always = models.FloatField(help_text="what naming the commonest state all the time would get")
    probability = models.FloatField(help_text="mean filtered probability of the right state")
    matched = models.JSONField(help_text="the state each true regime goes by")
    recall = models.JSONField(help_text="share named rightly, by true regime")
    confusion = models.JSONField(help_text="by true regime: how many bars each state was named in")
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    measured_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["version", "day"], name="one_truth_report_a_day")]

    def __str__(self) -> str:
        return f"{self.version} {self.day} {self.accuracy:.3f}"
