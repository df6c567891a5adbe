"""The sealed way back in, for when nobody is left who may let people in."""

from datetime import timedelta

from django.conf import settings
from django.db import models


class BreakGlass(models.Model):
    """Two halves, one kept by each of two people. Opened by both, once, it gives each another role for an hour."""

    first = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    first_hash = models.CharField(max_length=128, editable=False)
    second_hash = models.CharField(max_length=128, editable=False)
    failures = models.PositiveSmallIntegerField(default=0)
    sealed_at = models.DateTimeField()
    ended_at = models.DateTimeField(
        null=True, help_text="replaced by another seal, or closed after it was opened"
    )
    opened_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    first_was = models.CharField(max_length=16, blank=True, help_text="the role to go back to")
    second_was = models.CharField(max_length=16, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(first=models.F("second")), name="break_glass_is_kept_by_two_people"
            ),
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(ended_at=None), name="break_glass_is_sealed_once"
            ),
            models.CheckConstraint(
                condition=models.Q(opened_at=None, ends_at=None)
                | models.Q(opened_at__isnull=False, ends_at__lte=models.F("opened_at") + timedelta(hours=1)),
                name="break_glass_ends_within_the_hour",
            ),
        ]

    def __str__(self) -> str:
        return f"break-glass of {self.first} and {self.second}"
