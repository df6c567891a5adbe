"""A place where instruments trade, and how hard it lets us ask."""

from django.db import models


class Venue(models.Model):
    """One market of one exchange in one environment, e.g. `binance-spot` at the paper exchange."""

    class MarketType(models.TextChoices):
        SPOT = "spot", "spot"
        USDM = "usdm", "USD-M futures"

    name = models.CharField(max_length=40, unique=True)
    market = models.CharField(max_length=8, choices=MarketType.choices)
    environment = models.CharField(max_length=8, help_text="local, testnet, demo or live")
    last_synced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class VenueBackoff(models.Model):
    """Request weight last seen and the wait the venue asked for, shared by every process on this address."""

    venue = models.CharField(max_length=40, primary_key=True)
    weight_limit = models.PositiveIntegerField(default=6000, help_text="per minute")
    windows = models.JSONField(default=list, help_text="limits as announced: [kind, seconds, limit]")
    used_weight = models.PositiveIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True, help_text="when used_weight was reported")
    blocked_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.venue} {self.used_weight}/{self.weight_limit}"


class RateCount(models.Model):
    """What is used of one limit in one window, while Valkey, which counts otherwise, cannot be reached."""

    key = models.CharField(max_length=200, primary_key=True)
    used = models.IntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key} {self.used}"
