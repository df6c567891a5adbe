"""Caps as reservations: what is used of each cap, pending orders included."""

from django.db import models
from django.db.models import F, Q

from trading.models.columns import ledger_amount


class ExposureBucket(models.Model):
    """`used` never passes `cap` by an order of ours; `overrun` is what real fills forced beyond it."""

    scope = models.CharField(max_length=120, primary_key=True)
    used = ledger_amount(default=0)
    cap = ledger_amount()
    overrun = ledger_amount(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(used__lte=F("cap") + F("overrun")), name="used_within_cap"),
            models.CheckConstraint(condition=Q(used__gte=0, overrun__gte=0), name="used_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.used}/{self.cap}"
