"""Strategies as an operator sees them, and one running instance per account and symbol."""

from django.conf import settings
from django.db import models

from trading.models.accounts import Account
from trading.models.columns import money


class Strategy(models.Model):
    """A built-in or user strategy with its parameters. Disabled until somebody enables it."""

    name = models.SlugField(max_length=40, unique=True)
    kind = models.CharField(max_length=300, help_text="a name in the strategy registry")
    interval = models.CharField(max_length=4, default="1m")
    parameters = models.JSONField(default=dict, blank=True)
    is_enabled = models.BooleanField(default=False)
    model_family = models.CharField(
        max_length=80,
        blank=True,
        help_text="the registry's family it follows; its parameter `model` is then set",
    )
    model_digest = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="the model in force; empty: none, it may not decide",
    )
    model_version = models.PositiveIntegerField(null=True, blank=True, editable=False)
    model_stage = models.CharField(
        max_length=8,
        choices=[("champion", "champion"), ("canary", "canary")],
        default="champion",
        editable=False,
        help_text="which of the family's versions it decides with; canaries are made and ended by the registry",
    )
    canary_cap = money(
        null=True, blank=True, editable=False, help_text="exposure a canary may have; a rail holds it to that"
    )
    description = models.TextField(blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="may not take part in lowering a kill level of this strategy",
    )
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.name


class StrategyInstance(models.Model):
    """A strategy on one symbol of one account: its grant in force, and its state after the last bar."""

    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="instances")
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    is_enabled = models.BooleanField(default=True)
    weight = models.DecimalField(
        max_digits=9, decimal_places=8, default=1, help_text="share of the allocation, 0 to 1"
    )
    allocation = money(default=0, help_text="capital granted, in quote currency")
    split = money(
        null=True,
        editable=False,
        help_text="what it had when its strategy last had capital: its share of what comes again",
    )
    in_force_until = models.DateTimeField(null=True, blank=True, help_text="past this it may only reduce")
    state = models.JSONField(null=True, editable=False)
    parameters_digest = models.CharField(max_length=64, blank=True, editable=False)
    last_bar_at = models.DateTimeField(
        null=True, editable=False, help_text="open time of the last bar stepped"
    )
    warm_from_at = models.DateTimeField(
        null=True, editable=False, help_text="open time of the first bar its state was made from"
    )
    target = models.FloatField(null=True, editable=False, help_text="the last desired exposure, -1 to 1")
    protection = models.JSONField(
        null=True, editable=False, help_text="the exits its position should carry, as it last wanted them"
    )

    makes_market = models.BooleanField(
        default=False, editable=False, help_text="its quotes are traded, not its target"
    )
    steps_at_books = models.BooleanField(
        default=False, editable=False, help_text="stepped at changes of the book as well"
    )
    quotes = models.JSONField(
        null=True, editable=False, help_text="the resting quotes it last wanted: bid and ask, price and size"
    )
    said = models.JSONField(
        null=True, editable=False, help_text="reason, confidence and numbers of its last step at a book"
    )
    stepped_at = models.DateTimeField(null=True, editable=False, help_text="wall time of its last step")
    seen_ns = models.BigIntegerField(default=0, editable=False, help_text="market time of its last step")
    fill_seen_id = models.BigIntegerField(
        default=0, editable=False, help_text="the newest fill it has been shown"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["strategy", "account", "instrument"], name="one_instance_per_symbol"
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gte=0, weight__lte=1), name="weight_is_a_share"
            ),
            models.CheckConstraint(condition=models.Q(allocation__gte=0), name="allocation_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} {self.instrument}"
