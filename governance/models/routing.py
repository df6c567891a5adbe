"""Routing: which share of a symbol each strategy got, and why."""

from django.db import models


class RoutingDecision(models.Model):
    """One change of one weight by the router, with what it was made from; append-only."""

    at = models.DateTimeField(db_index=True)
    version = models.ForeignKey(
        "governance.PolicyVersion", on_delete=models.PROTECT, related_name="routing_decisions"
    )
    strategy = models.CharField(max_length=40)
    account = models.CharField(max_length=40)
    symbol = models.CharField(max_length=32)
    base = models.DecimalField(max_digits=9, decimal_places=8, help_text="by the weight set")
    before = models.DecimalField(max_digits=9, decimal_places=8)
    weight = models.DecimalField(max_digits=9, decimal_places=8, help_text="in force after it")
    rule = models.CharField(max_length=32)
    reason = models.TextField(help_text="in words and numbers")
    regime = models.JSONField(null=True, blank=True, help_text="regime -> probability, where it decided")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["strategy", "-id"], name="routing_by_strategy")]

    def __str__(self) -> str:
        return f"{self.strategy} {self.symbol} {self.before} -> {self.weight}"
