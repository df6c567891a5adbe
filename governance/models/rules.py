"""Rules that fired, and how far events were read for them."""

from django.db import models


class RuleCursor(models.Model):
    """The last event the rules have seen, and which of them are blind: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    event_id = models.BigIntegerField()
    moved_at = models.DateTimeField()
    unknown = models.JSONField(
        default=dict, db_default={}, help_text="rules that cannot be judged: name to since when"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_rule_cursor")]

    def __str__(self) -> str:
        return str(self.event_id)


class RuleFiring(models.Model):
    """One rule that was met, or that could not be judged: what it saw, and what was done. Never changed."""

    class Outcome(models.TextChoices):
        DONE = "done"
        STANDING = "standing", "in force already"
        OBSERVED = "observed", "the autopilot is off: nothing was done"
        FAILED = "failed"
        UNKNOWN = "unknown", "it could not be judged"

    version = models.ForeignKey("governance.PolicyVersion", on_delete=models.PROTECT, related_name="firings")
    rule = models.CharField(max_length=60)
    trigger = models.CharField(max_length=40)
    event_id = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField(db_index=True)
    evidence = models.JSONField(help_text="the facts the condition looked at")
    action = models.CharField(max_length=40)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    detail = models.TextField(help_text="what changed, or why nothing did")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["rule", "-at"], name="firings_by_rule")]

    def __str__(self) -> str:
        return f"{self.rule} {self.outcome}"
