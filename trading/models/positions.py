"""Positions: a cache of the fold of fills, with what is pending beside it."""

from django.db import models

from trading.domain.values import PositionSide
from trading.models.accounts import Account
from trading.models.columns import ledger_amount, money


class Position(models.Model):
    """Net quantity and cost of one symbol, rebuilt from fills at will, and the open orders' quantities."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    position_side = models.CharField(
        max_length=5, choices=[(s.value, s.value) for s in PositionSide], default=PositionSide.BOTH
    )
    quantity = ledger_amount(default=0, help_text="signed, after commission taken in the base asset")
    cost = ledger_amount(default=0, help_text="what the present quantity cost, quote currency")
    realized = ledger_amount(default=0)
    commission = ledger_amount(default=0, help_text="all commission, valued in quote currency")
    funding = ledger_amount(default=0, help_text="paid for holding it, quote currency; negative: received")
    last_trade_id = models.BigIntegerField(default=0, help_text="the newest trade folded into it")
    splits = models.JSONField(
        default=dict, editable=False, help_text="steps of open shared orders that each owner has had"
    )
    open_buy = money(default=0, help_text="quantity of buys that are not over yet")
    open_sell = money(default=0)
    carried_notional = ledger_amount(
        default=0, help_text="exposure held for the quantity, at reservation prices"
    )
    carried_by = models.JSONField(
        default=dict, help_text="carried_notional split by strategy; empty name: people"
    )
    plan_version = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "instrument", "position_side"], name="one_position_per_side"
            ),
            models.CheckConstraint(
                condition=models.Q(open_buy__gte=0, open_sell__gte=0), name="open_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.instrument} {self.quantity}"


class SubPosition(models.Model):
    """One owner's part of a position, with its own average cost. An empty owner: people and adopted orders."""

    position = models.ForeignKey(Position, on_delete=models.CASCADE, related_name="parts")
    owner = models.CharField(max_length=40, blank=True)
    quantity = ledger_amount(default=0)
    cost = ledger_amount(default=0)
    realized = ledger_amount(default=0)
    commission = ledger_amount(default=0)
    funding = ledger_amount(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["position", "owner"], name="one_part_per_owner")]

    def __str__(self) -> str:
        return f"{self.position_id} {self.owner or 'people'} {self.quantity}"


class PositionTransfer(models.Model):
    """A quantity that changed owner inside the account, or was there when its books were opened. Never changed."""

    class Kind(models.TextChoices):
        OPENING = "opening"
        CROSS = "cross"
        DUST = "dust"

    position = models.ForeignKey(Position, on_delete=models.PROTECT, related_name="transfers")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    side = models.CharField(max_length=4, help_text="what the taker does")
    taker = models.CharField(max_length=40, blank=True)
    giver = models.CharField(max_length=40, blank=True, null=True, help_text="null: the venue")
    quantity = ledger_amount(help_text="base units, more than zero")
    price = ledger_amount(null=True)
    quote = ledger_amount()
    after_trade_id = models.BigIntegerField(help_text="the newest trade folded before it")
    plan = models.ForeignKey("trading.Plan", null=True, on_delete=models.PROTECT, related_name="crosses")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="transfer_quantity_positive")
        ]

    def __str__(self) -> str:
        return f"{self.giver} -> {self.taker} {self.quantity}"
