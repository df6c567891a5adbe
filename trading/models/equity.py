"""Equity over time."""

from django.db import models

from trading.models.accounts import Account
from trading.models.columns import ledger_amount


class EquitySnapshot(models.Model):
    """What an account was worth at a moment: cash plus holdings at the middle of bid and ask."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    at = models.DateTimeField()
    market_at = models.DateTimeField(
        null=True, help_text="the venue's market time; differs from `at` in a replay"
    )
    equity = ledger_amount()
    cash = ledger_amount()
    market_value = ledger_amount()
    unrealized = ledger_amount()
    realized = ledger_amount()
    commission = ledger_amount()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-at"], name="equity_by_time")]

    def __str__(self) -> str:
        return f"{self.account} {self.equity}"
