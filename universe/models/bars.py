"""Recent closed bars for live work; the long history is in Parquet files."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q


class Bar(models.Model):
    """One closed bar. It may be used only after its close."""

    class Source(models.TextChoices):
        STREAM = "stream", "stream"
        REST = "rest", "REST"
        IMPORT = "import", "import"

    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT, related_name="bars")
    interval = models.CharField(max_length=4)
    open_time = models.DateTimeField(help_text="market time")
    close_time = models.DateTimeField(help_text="market time of the bar's last millisecond")
    open = models.DecimalField(max_digits=28, decimal_places=10)
    high = models.DecimalField(max_digits=28, decimal_places=10)
    low = models.DecimalField(max_digits=28, decimal_places=10)
    close = models.DecimalField(max_digits=28, decimal_places=10)
    volume = models.DecimalField(max_digits=28, decimal_places=10, help_text="base asset")
    quote_volume = models.DecimalField(max_digits=28, decimal_places=10)
    trades = models.PositiveBigIntegerField()
    taker_base = models.DecimalField(max_digits=28, decimal_places=10, help_text="base bought by takers")
    received_at = models.DateTimeField(help_text="wall time")
    source = models.CharField(max_length=8, choices=Source.choices)

    class Meta:
        # The unique index is also the one "latest N bars" walks backwards.
        constraints = [
            models.UniqueConstraint(fields=["instrument", "interval", "open_time"], name="bar_unique"),
            models.CheckConstraint(
                name="bar_prices_possible",
                condition=Q(low__gt=0)
                & Q(low__lte=F("open"))
                & Q(low__lte=F("close"))
                & Q(high__gte=F("open"))
                & Q(high__gte=F("close"))
                & Q(volume__gte=0),
            ),
        ]
        indexes = [BrinIndex(fields=["open_time"], name="bar_open_time_brin")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.interval} {self.open_time:%Y-%m-%d %H:%M}"
