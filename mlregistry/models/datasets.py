"""What models were trained on."""

from django.db import models


class Dataset(models.Model):
    """One window of bars, named by the hash of the numbers themselves."""

    symbol = models.CharField(max_length=32)
    market = models.CharField(max_length=8)
    interval = models.CharField(max_length=4)
    bars_sha256 = models.CharField(max_length=64, unique=True)
    file_sha256 = models.CharField(max_length=64, help_text="of the stored file they were read from")
    start_at = models.DateTimeField(help_text="close of the first bar")
    end_at = models.DateTimeField(help_text="close of the last bar")
    bars = models.PositiveIntegerField()
    stretches = models.PositiveIntegerField(help_text="parts without a hole")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} {self.start_at:%Y-%m-%d} to {self.end_at:%Y-%m-%d}"
