"""What each strategy had made, over time: what judges it has its own rows, whoever trades beside it."""

from django.db import models

from trading.models.columns import ledger_amount, money
from trading.models.strategies import Strategy


class StrategyResult(models.Model):
    """A strategy's net result so far, and what it was granted, at a moment. One a minute at most."""

    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="results")
    model = models.CharField(max_length=96, blank=True, help_text="family@version it decided by")
    at = models.DateTimeField()
    market_at = models.DateTimeField(help_text="the venue's market time; `at` where there is none")
    capital = money()
    result = ledger_amount(help_text="realised and unrealised, less fees and funding, since its beginning")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["strategy", "-market_at"], name="results_by_time")]

    def __str__(self) -> str:
        return f"{self.strategy} {self.result}"
