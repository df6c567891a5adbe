"""What is allowed right now: levels by scope, limits in force, symbols that may be traded."""

from django.conf import settings
from django.db import models

from trading.domain.values import Level, PositionSide, Side
from trading.models.accounts import Account
from trading.models.columns import money


class TradingState(models.Model):
    """The level of one scope. Latching: it stays until people lower it. A missing row means ACTIVE."""

    scope = models.CharField(max_length=120, unique=True)
    level = models.PositiveSmallIntegerField(choices=[(level.value, level.name) for level in Level])
    reason = models.TextField(blank=True)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    version = models.PositiveIntegerField(
        default=0, help_text="grows with every change of any scope on the global row"
    )
    include_stops = models.BooleanField(
        default=False, help_text="at CANCEL: protective orders are canceled as well"
    )
    auto_level = models.PositiveSmallIntegerField(
        choices=[(level.value, level.name) for level in Level if level <= Level.HALT_NEW],
        default=Level.ACTIVE,
        help_text="what circuit breakers demand while they are open, where their policy lets it end by itself",
    )
    auto_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(auto_level__lte=Level.HALT_NEW), name="machines_reset_low_levels_only"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.effective.name}"

    @property
    def effective(self) -> Level:
        """The level in force: what people latched, or more where an open breaker demands it."""
        return Level(max(self.level, self.auto_level))

    @property
    def reason_in_force(self) -> str:
        """Why the level in force is in force."""
        return self.auto_reason if self.auto_level > self.level else self.reason


class KillEnforcement(models.Model):
    """How far the exchange has followed a kill: every cancel asked for, and the open-order list seen empty twice."""

    scope = models.CharField(max_length=120)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    enforcer = models.CharField(max_length=20, help_text="control or watchdog; each works on its own")
    state_version = models.PositiveIntegerField(help_text="the global row's version this enforces")
    cancel_requested = models.PositiveIntegerField(default=0)
    open_orders_remaining = models.PositiveIntegerField(null=True)
    unknown_remaining = models.PositiveIntegerField(null=True)
    kept = models.PositiveIntegerField(default=0, help_text="open orders the level leaves standing")
    empty_reads = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, help_text="when the open-order list was last read")
    confirmed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "account", "enforcer", "state_version"], name="one_enforcement"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.account} by {self.enforcer}"


class Flatten(models.Model):
    """One position being closed because a scope stands at FLATTEN: how much was to go, and how much is gone."""

    class Status(models.TextChoices):
        WORKING = "working"
        DONE = "done"
        STOPPED = "stopped"

    scope = models.CharField(max_length=120)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    position_side = models.CharField(
        max_length=5, choices=[(s.value, s.value) for s in PositionSide], default=PositionSide.BOTH
    )
    side = models.CharField(
        max_length=4,
        choices=[(s.value, s.value) for s in Side],
        default=Side.SELL,
        help_text="what closes it: a short is bought back",
    )
    state_version = models.PositiveIntegerField(help_text="the version of the scope's level this closes for")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WORKING)
    wanted = money(help_text="base quantity that was to be closed when it began")
    closed = money(default=0)
    slices = models.PositiveIntegerField(default=0, help_text="sent so far")
    counted = models.PositiveIntegerField(default=0, help_text="slices whose end is in `closed`")
    failures = models.PositiveSmallIntegerField(default=0, help_text="slices in a row that closed nothing")
    note = models.TextField(blank=True)
    started_at = models.DateTimeField()
    retry_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "account", "instrument", "position_side", "state_version"],
                name="one_flatten",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.instrument} {self.status}"


class RiskLimit(models.Model):
    """A limit in force. Past `in_force_until` only reducing orders pass."""

    name = models.CharField(max_length=48)
    scope = models.CharField(max_length=120, default="global")
    value = money()
    unit = models.CharField(max_length=16)
    tighter = models.CharField(
        max_length=6, choices=[("lower", "lower"), ("higher", "higher")], default="lower"
    )
    in_force_until = models.DateTimeField(null=True, blank=True)
    policy_version = models.PositiveIntegerField(default=1)
    description = models.CharField(max_length=200, blank=True)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["name", "scope"]
        constraints = [models.UniqueConstraint(fields=["name", "scope"], name="one_limit_per_scope")]

    def __str__(self) -> str:
        return f"{self.name} [{self.scope}] {self.value.normalize():f} {self.unit}"


class SymbolAllowance(models.Model):
    """A symbol an account may take new risk in. Removing one leaves the way out open."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    added_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "instrument"], name="allowed_once")]

    def __str__(self) -> str:
        return f"{self.account} may trade {self.instrument}"
