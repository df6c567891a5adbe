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
