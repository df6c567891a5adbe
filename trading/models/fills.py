"""Executions, once each by the venue's trade id, and the double entry they lead to."""

from django.db import models

from trading.models.accounts import Account
from trading.models.columns import ledger_amount, money
from trading.models.orders import Order


class Fill(models.Model):
    """One trade of ours at the venue. The unique key is the venue's own; a second report changes nothing."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    trade_id = models.BigIntegerField()
    side = models.CharField(max_length=4)
    price = money()
    quantity = money()
    quote_quantity = money()
    commission = ledger_amount()
    commission_asset = models.CharField(max_length=20)
    commission_quote = ledger_amount(help_text="the commission valued in quote currency when it was booked")
    realized = ledger_amount(
        default=0, help_text="realised result of this fill in quote currency, before commission"
    )
    maker = models.BooleanField()
    slippage_bps = models.FloatField(null=True, help_text="against the arrival mid; positive is worse for us")
    traded_at = models.DateTimeField(help_text="the venue's market time")
    recorded_at = models.DateTimeField()
    source = models.CharField(max_length=12)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "instrument", "trade_id"], name="trade_id_booked_once"
            ),
            models.CheckConstraint(condition=models.Q(quantity__gt=0, price__gt=0), name="fill_positive"),
        ]
        indexes = [
            models.Index(fields=["instrument", "-traded_at"], name="fills_by_symbol"),
            models.Index(fields=["account", "recorded_at", "id"], name="fills_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price}"


class LedgerEntry(models.Model):
    """One side of a posting. Entries of a transaction sum to zero per asset; a trigger refuses changes."""

    class Kind(models.TextChoices):
        OPENING = "opening"
        TRADE = "trade"
        COMMISSION = "commission"
        TRANSFER = "transfer"
        REALIZED = "realized"
        FUNDING = "funding"
        LIQUIDATION = "liquidation"
        DUST = "dust"
        CROSS = "cross"
        OTHER = "other"
        ADJUSTMENT = "adjustment"

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    transaction = models.CharField(max_length=80, db_index=True)
    owner = models.CharField(max_length=8, help_text="`account`, or `venue` for the counter side")
    sub = models.CharField(
        max_length=40,
        blank=True,
        default="",
        help_text="whose it is within the account: a strategy, or nobody's (people)",
    )
    asset = models.CharField(max_length=20)
    amount = ledger_amount()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    fill = models.ForeignKey(Fill, null=True, on_delete=models.PROTECT)
    instrument = models.ForeignKey(
        "universe.Instrument", null=True, on_delete=models.PROTECT, help_text="where it concerns one"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "transaction", "owner", "sub", "asset", "kind"], name="posted_once"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "id"], name="ledger_by_account"),
            models.Index(fields=["account", "at", "id"], name="ledger_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.amount} {self.asset}"
