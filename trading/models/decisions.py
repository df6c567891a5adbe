"""What a strategy wanted, and the plan that was made of it."""

from django.db import models
from django.db.models import F, Q

from trading.domain.planner import MAX_CHILDREN
from trading.models.accounts import Account
from trading.models.columns import money
from trading.models.strategies import StrategyInstance


class Decision(models.Model):
    """The record of one step: on a closed bar, never a second one for it; at a book, where its quotes changed."""

    class Trigger(models.TextChoices):
        BAR = "bar"
        BOOK = "book"

    instance = models.ForeignKey(StrategyInstance, on_delete=models.CASCADE, related_name="decisions")
    key = models.CharField(max_length=64, unique=True)
    trigger = models.CharField(max_length=4, choices=Trigger.choices, default=Trigger.BAR)
    bar_open_at = models.DateTimeField(help_text="of the bar that closed, at a book of the last one that had")
    price = money(help_text="the bar's close, at a book its middle")
    target = models.FloatField(help_text="desired exposure, a signed fraction of the allocation")
    confidence = models.FloatField(default=1.0)
    reason = models.CharField(max_length=60)
    model = models.CharField(max_length=100, blank=True, help_text="family@version that decided, or empty")
    features = models.JSONField(default=dict)
    quotes = models.JSONField(null=True, help_text="the resting quotes it wants, null for none")
    decided_at = models.DateTimeField()
    warm_from_at = models.DateTimeField(
        null=True,
        help_text="open time of the first bar it remembers: with the bars since, it can be decided again",
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "bar_open_at"], condition=Q(trigger="bar"), name="one_decision_per_bar"
            )
        ]
        indexes = [
            models.Index(fields=["instance", "-bar_open_at", "-id"], name="decisions_by_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.instance} {self.bar_open_at:%H:%M} {self.target:+.2f}"


class ObservedStep(models.Model):
    """What a strategy that looks at books saw at one step, and what it said: kept for hours, to be decided again."""

    class Trigger(models.TextChoices):
        BAR = "bar"
        BOOK = "book"
        LISTING = "listing"

    instance = models.ForeignKey(StrategyInstance, on_delete=models.CASCADE, related_name="observed")
    trigger = models.CharField(max_length=7, choices=Trigger.choices)
    seen_ns = models.BigIntegerField(help_text="market time of the step, nanoseconds")
    bar_open_at = models.DateTimeField(
        null=True, help_text="of the last bar that had closed, null before any"
    )
    parameters_digest = models.CharField(max_length=64)
    warm_from_at = models.DateTimeField(null=True, help_text="open time of the first bar it remembered")
    seen = models.JSONField(
        help_text="top of book, holding, fills, own quotes and what else the step was shown"
    )
    said = models.JSONField(null=True, help_text="what it wants, null for no change")
    memory = models.JSONField(null=True, help_text="its state before the step in a list of one, at bars only")
    stepped_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["instance", "id"], name="observed_by_instance"),
            models.Index(fields=["stepped_at"], name="observed_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.trigger} {self.seen_ns}"


class Plan(models.Model):
    """The net target of an account and symbol at one moment, and the orders that lead there."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    version = models.PositiveIntegerField()
    price = money()
    position_quantity = money()
    target_quantity = money()
    parent_quantity = money(default=0, help_text="the most its orders may sum to: from position to target")
    child_quantity = money(
        default=0, help_text="what its orders sum to, less what certainly was not executed"
    )
    children = models.PositiveSmallIntegerField(default=0, help_text="orders made of it so far")
    notes = models.JSONField(default=list)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "instrument", "version"], name="plan_version_once"),
            # The last wall behind planner and router: whatever they ask for, more than the parent never leaves.
            models.CheckConstraint(
                condition=Q(child_quantity__gte=0, child_quantity__lte=F("parent_quantity")),
                name="children_within_parent",
            ),
            models.CheckConstraint(condition=Q(children__lte=MAX_CHILDREN), name="children_are_few"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.instrument} plan {self.version}"


class PlanShare(models.Model):
    """Whose target is in a plan, frozen when the plan was made; fills are split by these."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="shares")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT)
    share = models.DecimalField(max_digits=9, decimal_places=8)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "decision"], name="share_once_per_decision")]

    def __str__(self) -> str:
        return f"{self.plan} {self.share}"
