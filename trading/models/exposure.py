"""Caps as reservations: what is used of each cap, pending orders included."""

from django.db import models
from django.db.models import F, Q

from trading.models.columns import ledger_amount


class ExposureBucket(models.Model):
    """`used` never passes `cap` by an order of ours; `overrun` is what real fills forced beyond it.

    A cap lowered below what is used waits in `cap_target`: until then `cap` follows `used` down and leaves no room.
    """

    scope = models.CharField(max_length=120, primary_key=True)
    used = ledger_amount(default=0)
    cap = ledger_amount()
    cap_target = ledger_amount(null=True, blank=True)
    overrun = ledger_amount(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(used__lte=F("cap") + F("overrun")), name="used_within_cap"),
            models.CheckConstraint(condition=Q(used__gte=0, overrun__gte=0), name="used_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.used}/{self.cap}"


class ExposureEscrow(models.Model):
    """A cap over everything, divided: each account's bucket `global:A` has been granted a part as its own cap.

    Orders take from their account's part and never queue on this row. What is granted never passes `cap`, and every
    part holds its own cap, so that all parts together hold this one.
    """

    scope = models.CharField(max_length=120, primary_key=True)
    cap = ledger_amount()
    cap_target = ledger_amount(null=True, blank=True)
    granted = ledger_amount(default=0, help_text="the sum of the parts' caps")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(granted__gte=0, granted__lte=F("cap")), name="granted_within_cap"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.granted}/{self.cap}"
