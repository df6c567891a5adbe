"""What perpetuals settled: the history of funding rates."""

from django.db import models
from django.db.models import Q


class FundingRate(models.Model):
    """One settlement of one contract. By symbol, as files of bars are: history outlives a listing at the venue.

    It is known at `funding_at` and not before; the venue's own time is some milliseconds later.
    """

    class Source(models.TextChoices):
        STREAM = "stream", "stream"
        REST = "rest", "REST"
        IMPORT = "import", "import"

    symbol = models.CharField(max_length=32, help_text="of a USD-M perpetual")
    funding_at = models.DateTimeField(help_text="market time, whole minutes")
    rate = models.DecimalField(
        max_digits=12, decimal_places=8, help_text="a fraction; longs pay a positive one"
    )
    mark_price = models.DecimalField(
        max_digits=28, decimal_places=10, null=True, help_text="where it is told"
    )
    source = models.CharField(max_length=8, choices=Source.choices)
    received_at = models.DateTimeField(help_text="wall time")

    class Meta:
        # The unique index is also the one the last rate before a close is found by.
        constraints = [
            models.UniqueConstraint(fields=["symbol", "funding_at"], name="funding_rate_unique"),
            models.CheckConstraint(name="funding_rate_possible", condition=Q(rate__gt=-1) & Q(rate__lt=1)),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.funding_at:%Y-%m-%d %H:%M} {self.rate}"
