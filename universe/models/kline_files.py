"""The catalogue of the Parquet store."""

from django.db import models


class KlineFile(models.Model):
    """One file of bars: what it holds, its hash and its holes. Backtests and training record the hash."""

    symbol = models.CharField(max_length=32)
    market = models.CharField(max_length=8)
    interval = models.CharField(max_length=4)
    path = models.CharField(max_length=200, help_text="relative to the store")
    sha256 = models.CharField(max_length=64)
    rows = models.PositiveBigIntegerField()
    first_open_time = models.DateTimeField()
    last_open_time = models.DateTimeField()
    gaps = models.JSONField(
        default=list, help_text="[{first_missing, last_missing, missing}], market time, the first 1000"
    )
    source = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["market", "symbol", "interval"]
        constraints = [
            models.UniqueConstraint(fields=["market", "symbol", "interval"], name="kline_file_series")
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def missing_bars(self) -> int:
        return sum(gap["missing"] for gap in self.gaps)
