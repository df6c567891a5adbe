"""The latest top of book per instrument, overwritten in place."""

from django.db import models


class Quote(models.Model):
    """Best bid and ask. A side that is empty at the venue is null, never zero."""

    instrument = models.OneToOneField("universe.Instrument", on_delete=models.CASCADE, primary_key=True)
    bid = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    ask = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    bid_quantity = models.DecimalField(max_digits=28, decimal_places=10, default=0)
    ask_quantity = models.DecimalField(max_digits=28, decimal_places=10, default=0)
    last_price = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    market_time = models.DateTimeField(null=True, help_text="the venue's time, where the message carries one")
    mark_price = models.DecimalField(
        max_digits=28, decimal_places=10, null=True, help_text="USD-M: what margins are judged by"
    )
    index_price = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    funding_rate = models.DecimalField(
        max_digits=28,
        decimal_places=10,
        null=True,
        help_text="of the running interval; longs pay when positive",
    )
    next_funding_at = models.DateTimeField(null=True, help_text="market time")
    mark_received_at = models.DateTimeField(null=True, help_text="wall time of the mark price")
    received_at = models.DateTimeField(help_text="wall time; what freshness is judged by")

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.bid} / {self.ask}"
