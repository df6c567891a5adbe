"""What the rails know beside the books: windows, grants, and facts measured at the venue."""

from django.db import models
from django.db.models import F, Q

from trading.domain.values import Side
from trading.models.accounts import Account
from trading.models.columns import ledger_amount, money
from trading.models.orders import Order


class Blackout(models.Model):
    """A window of wall time in which a scope takes no new risk: maintenance, a listing, news."""

    scope = models.CharField(max_length=120)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="when two people ended it early")
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="blackout_has_length"),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by="") | (Q(ended_at__isnull=False) & ~Q(ended_by="")),
                name="blackout_was_ended_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["scope", "ends_at"], name="blackouts_by_scope")]

    def __str__(self) -> str:
        return f"{self.scope} until {self.ends_at:%Y-%m-%d %H:%M}"


class CorrelationGroup(models.Model):
    """Symbols that move together and share one cap, over all accounts and strategies."""

    name = models.SlugField(max_length=40, unique=True)
    symbols = models.JSONField(default=list, help_text="plain spelling: BTCUSDT")
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({len(self.symbols)})"


class OverrideGrant(models.Model):
    """Two people's leave for one order beyond a soft limit. The order that needs it uses it up."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    max_notional = money(help_text="quote currency")
    expires_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150)
    approved_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    used_by = models.OneToOneField(
        Order, null=True, blank=True, on_delete=models.PROTECT, related_name="override_grant"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(max_notional__gt=0), name="grant_is_for_something"),
            models.CheckConstraint(condition=~Q(requested_by=F("approved_by")), name="grant_took_two_people"),
        ]
        indexes = [
            models.Index(
                fields=["account", "instrument", "side"],
                name="grants_unused",
                condition=Q(used_by__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.instrument_id} up to {self.max_notional}"


class VenueClock(models.Model):
    """How far a venue's clock is ahead of ours."""

    venue = models.CharField(max_length=40, primary_key=True)
    offset_ms = models.IntegerField()
    measured_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.venue} {self.offset_ms:+} ms"


class LossMeasure(models.Model):
    """What one scope has won or lost, mark to market. Of a strategy it is the fold of its fills up to `cursor`."""

    scope = models.CharField(max_length=120, primary_key=True)
    day = models.DateField(help_text="UTC; `day_start` is the value when it began")
    value = ledger_amount(default=0, help_text="equity, or for a strategy what it has won in all")
    day_start = ledger_amount(default=0)
    peak = ledger_amount(default=0)
    drawdown_ppm = models.PositiveIntegerField(default=0, help_text="below the peak, millionths")
    streak = models.PositiveIntegerField(default=0, help_text="losing trades in a row, today")
    last_loss_at = models.DateTimeField(null=True, blank=True)
    measured_at = models.DateTimeField(null=True, help_text="null while what it holds has no price")
    cursor = models.BigIntegerField(default=0, help_text="the last fill that is in `cash` and `holdings`")
    cash = ledger_amount(default=0)
    holdings = models.JSONField(default=dict, help_text="signed base quantity by instrument")
    last_order = models.BigIntegerField(default=0, help_text="the order the running trade result belongs to")
    last_result = ledger_amount(default=0)

    def __str__(self) -> str:
        return f"{self.scope} {self.value}"
