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
    funding = ledger_amount(default=0)
    transferred = ledger_amount(default=0, help_text="the account's, when this was written")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-at"], name="equity_by_time")]

    def __str__(self) -> str:
        return f"{self.account} {self.equity}"


class EquityAnchor(models.Model):
    """Start of the trading day and peak of a scope's equity, moved by deposits and withdrawals."""

    scope = models.CharField(
        max_length=60, primary_key=True, help_text="`global`, `account:A` or `strategy:N`"
    )
    equity = ledger_amount(help_text="as last marked")
    capital = ledger_amount(default=0, help_text="granted to a strategy; day start and peak move with it")
    day_started_on = models.DateField()
    day_start_equity = ledger_amount()
    peak_equity = ledger_amount()
    marked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.scope} {self.equity}"
