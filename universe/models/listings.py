"""Symbols that appeared at a venue while we were looking."""

from django.db import models
from django.db.models import Q


class Listing(models.Model):
    """One symbol that was not there at an earlier look at the venue. A venue's first look makes none."""

    instrument = models.OneToOneField("universe.Instrument", on_delete=models.PROTECT, related_name="listing")
    seen_at = models.DateTimeField(help_text="wall time of the look that found it")
    missed_at = models.DateTimeField(help_text="wall time of the last look that did not")
    listed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="market time from which it trades: the venue's word, else its first minute with a trade",
    )
    opened_at = models.DateTimeField(
        null=True, blank=True, help_text="wall time at which it was told of: it trades and its age is known"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(opened_at=None) | Q(listed_at__isnull=False), name="listing_opened_with_its_age"
            )
        ]
        indexes = [models.Index(fields=["opened_at"], name="listing_opened")]

    def __str__(self) -> str:
        return f"listing of {self.instrument_id}"
