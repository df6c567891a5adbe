"""Brackets: the exits of one net position, the orders that carry them, and what became of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from trading.domain.brackets import BracketState, Role
from trading.domain.values import PositionSide, Side
from trading.models.accounts import Account
from trading.models.columns import ledger_amount, money
from trading.models.orders import Order
from trading.models.strategies import Strategy


class Bracket(models.Model):
    """The one protective set of a net position, from its entry to the confirmed end of its last order."""

    class Source(models.TextChoices):
        PERSON = "person"
        STRATEGY = "strategy"

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    position_side = models.CharField(
        max_length=5, choices=[(s.value, s.value) for s in PositionSide], default=PositionSide.BOTH
    )
    exit_side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in BracketState])
    source = models.CharField(max_length=8, choices=Source.choices)
    strategy = models.ForeignKey(Strategy, null=True, blank=True, on_delete=models.PROTECT)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )

    covers_all = models.BooleanField(
        default=False, help_text="guards the whole net position, not only what its entries bought"
    )
    given_up_quantity = ledger_amount(
        default=0, help_text="bought by its entries and sold by others: not to be guarded any more"
    )
    stop_price = money(null=True, blank=True)
    stop_limit_price = money(null=True, blank=True, help_text="empty: the stop trades at the market")
    take_profits = models.JSONField(default=list, help_text="price and share in basis points, nearest first")
    trailing_bps = models.PositiveIntegerField(null=True, blank=True)
    activation_price = money(null=True, blank=True)
    best_price = money(null=True, blank=True, help_text="the best price since the position was opened")
    trailed_price = money(null=True, blank=True, help_text="where a trailing stop kept by us stands")
    exit_at = models.DateTimeField(null=True, blank=True, help_text="closed at the market then")
    escalate_after_s = models.PositiveIntegerField(
        default=15, help_text="how long the market may be beyond a resting stop before we sell at the market"
    )

    yield_to = money(
        null=True, blank=True, help_text="guards no more than this while somebody sells down to it"
    )
    yield_until = models.DateTimeField(null=True, blank=True)
    exit_reason = models.CharField(max_length=24, blank=True, help_text="why it is closing at the market")
    breached_at = models.DateTimeField(null=True, blank=True)
    unprotected_since = models.DateTimeField(null=True, blank=True)
    unprotected_quantity = money(default=0)
    last_refusal = models.CharField(max_length=200, blank=True)
    commands = models.PositiveIntegerField(
        default=0, help_text="numbers its orders, so that none is sent twice"
    )

    opened_at = models.DateTimeField()
    protected_at = models.DateTimeField(null=True, blank=True, help_text="first time all of it was guarded")
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "instrument", "position_side"],
                name="one_bracket_per_position",
                condition=Q(ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.exit_side} {self.instrument_id} {self.state}"


class BracketLeg(models.Model):
    """One order of a bracket and what it is for."""

    bracket = models.ForeignKey(Bracket, on_delete=models.PROTECT, related_name="legs")
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="bracket_leg")
    role = models.CharField(max_length=12, choices=[(r.value, r.value) for r in Role])
    group = models.PositiveIntegerField(default=0, help_text="orders of one number left together")
    target = models.PositiveSmallIntegerField(null=True, blank=True, help_text="which take-profit it is")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.role} of bracket {self.bracket_id}"


class BracketEvent(models.Model):
    """One step of a bracket: what it decided, and why."""

    bracket = models.ForeignKey(Bracket, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    state = models.CharField(max_length=10)
    what = models.CharField(max_length=40)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.bracket_id} {self.what}"
