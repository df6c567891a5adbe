"""Capital: every run of the allocator, what it changed, and what it did not change and why."""

from django.db import models

from trading.models.columns import money


class CapitalState(models.Model):
    """What the allocator remembers between runs: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    multiplier = models.FloatField(default=1.0, help_text="of the drawdown throttle, in force")
    stopped = models.BooleanField(
        default=False, help_text="the hard drawdown was reached; two people lift it"
    )
    lifted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when two people lifted a stop; empty: never, or equity is back at its peak",
    )
    peak_since = money(
        null=True,
        blank=True,
        help_text="largest equity since then, less all that came in by deposits until then; "
        "with what has come in by now a fall is measured from it",
    )
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(lifted_at__isnull=True, peak_since__isnull=True)
                | models.Q(lifted_at__isnull=False, peak_since__isnull=False),
                name="a_lifted_stop_has_a_peak",
            ),
            models.CheckConstraint(condition=models.Q(pk=1), name="one_capital_state"),
            models.CheckConstraint(
                condition=models.Q(multiplier__gte=0, multiplier__lte=1), name="multiplier_is_a_share"
            ),
        ]

    def __str__(self) -> str:
        return "stopped" if self.stopped else f"x{self.multiplier:g}"


class AllocationRun(models.Model):
    """One decision about all capital, with the numbers it was made from; never changed."""

    class Outcome(models.TextChoices):
        APPLIED = "applied"
        PROPOSED = "proposed", "applied in part; the rest needs two people"
        HELD = "held", "no amount was changed"
        REFUSED = "refused", "something it needs was not known; nothing was changed"

    at = models.DateTimeField(db_index=True)
    trigger = models.CharField(max_length=80, help_text="schedule, command, or who asked")
    version = models.ForeignKey("governance.PolicyVersion", on_delete=models.PROTECT, related_name="runs")
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    method = models.CharField(max_length=24, blank=True, help_text="what gave the weights")
    equity = money(null=True, blank=True)
    reserve = money(null=True, blank=True)
    pool = money(null=True, blank=True)
    drawdown = models.FloatField(null=True, blank=True)
    multiplier = models.FloatField(null=True, blank=True)
    total = money(null=True, blank=True, help_text="in force after it")
    in_force_until = models.DateTimeField(null=True, blank=True)
    explanation = models.TextField(help_text="in words and numbers")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.outcome}"


class Allocation(models.Model):
    """One strategy in one run: what it had, should have, got, and the reason that decided."""

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="allocations")
    strategy = models.CharField(max_length=40)
    weight = models.FloatField(null=True, blank=True, help_text="share of the pool the method wants")
    before = money()
    desired = money(help_text="by the method, before pace and limits")
    amount = money(help_text="in force after the run")
    proposed = money(null=True, blank=True, help_text="beyond the envelope: what two people may grant")
    rule = models.CharField(max_length=32, help_text="the one that decided")
    reason = models.TextField(help_text="in words and numbers")

    class Meta:
        ordering = ["run", "strategy"]
        constraints = [
            models.UniqueConstraint(fields=["run", "strategy"], name="strategy_once_per_run"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="amount_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} {self.before:f} -> {self.amount:f}"
