"""What somebody lowered by hand, kept apart from whatever the machines decide next."""

from django.db import models

from trading.models.columns import money
from trading.models.strategies import Strategy, StrategyInstance


class Ceiling(models.Model):
    """How high the machines may go where a person lowered something; two people lift it.

    Of an instance it is about the weight, of a strategy about the capital over all its symbols.
    """

    strategy = models.OneToOneField(
        Strategy, null=True, blank=True, on_delete=models.CASCADE, related_name="ceiling"
    )
    instance = models.OneToOneField(
        StrategyInstance, null=True, blank=True, on_delete=models.CASCADE, related_name="ceiling"
    )
    most = money(help_text="the machines raise it no higher")
    was = money(help_text="before it was first lowered; who gives that much back lifts the ceiling")
    by = models.CharField(max_length=320, help_text="who lowered it last")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(strategy__isnull=True, instance__isnull=False)
                | models.Q(strategy__isnull=False, instance__isnull=True),
                name="ceiling_of_one_thing",
            ),
            models.CheckConstraint(condition=models.Q(most__gte=0), name="ceiling_not_negative"),
        ]

    def __str__(self) -> str:
        return f"at most {self.most:f} for {self.instance or self.strategy}"
