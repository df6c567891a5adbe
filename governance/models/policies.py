"""Policies: what the machine may do by itself, each version kept for ever."""

from django.conf import settings
from django.db import models


class Policy(models.Model):
    """One governed document and the version of it in force; without one the machine does nothing by it."""

    class Name(models.TextChoices):
        CAPITAL_POLICY = "capital_policy"
        STRATEGY_WEIGHTS = "strategy_weights"
        POLICIES = "policies"

    name = models.CharField(max_length=24, choices=Name.choices, primary_key=True)
    active = models.ForeignKey(
        "governance.PolicyVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """One version of a document; the database refuses to change or delete it."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    digest = models.CharField(max_length=64, help_text="sha256 of the canonical document")
    reason = models.TextField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="none: the platform's own first version",
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["policy", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="policy_version_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.policy_id}@{self.number}"


class PolicyActivation(models.Model):
    """When a version came into force, by whom and why; append-only."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="activations")
    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="activations")
    before = models.ForeignKey(
        PolicyVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField()
    by = models.CharField(max_length=320, help_text="one person, or the two who agreed")
    reason = models.TextField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} {self.at:%Y-%m-%d %H:%M}"
