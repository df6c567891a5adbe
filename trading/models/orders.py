"""Orders: intent and life in one row, every change in a second table that only grows."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from trading.domain.orders import OPEN, OrderStatus
from trading.domain.prevention import SelfTradePrevention
from trading.domain.values import (
    ListKind,
    OrderService,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trading.models.accounts import Account
from trading.models.columns import ledger_amount, money
from trading.models.decisions import Decision, Plan
from trading.models.strategies import Strategy

_OPEN = sorted(status.value for status in OPEN)


class OrderList(models.Model):
    """Orders that leave as one request and that the venue ties together. Its state is that of its legs."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    kind = models.CharField(max_length=5, choices=[(k.value, k.value) for k in ListKind])
    client_list_id = models.CharField(max_length=36)
    venue_list_id = models.BigIntegerField(null=True, blank=True)
    held_quantity = money(
        default=0, help_text="open quantity the legs hold together: they sell the same coins"
    )
    reserved_asset = models.CharField(max_length=20, blank=True)
    reserved_amount = ledger_amount(default=0, help_text="of the balance, held by the legs together")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_list_id"], name="client_list_id_once"),
            models.CheckConstraint(
                condition=Q(held_quantity__gte=0, reserved_amount__gte=0), name="list_holds_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.client_list_id}"


class Order(models.Model):
    """One order from reservation to its end. Committed before anything is sent."""

    class Origin(models.TextChoices):
        STRATEGY = "strategy"
        MANUAL = "manual"
        FLATTEN = "flatten"
        PROTECTION = "protection"
        EXTERNAL = "external"

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    shard = models.PositiveSmallIntegerField(default=0)
    origin = models.CharField(max_length=12, choices=Origin.choices)
    intent_key = models.CharField(max_length=120, unique=True, help_text="one order per key, for ever")
    client_order_id = models.CharField(max_length=36)
    venue_order_id = models.BigIntegerField(null=True, blank=True)
    service = models.CharField(
        max_length=5,
        choices=[(s.value, s.value) for s in OrderService],
        default=OrderService.ORDER,
        help_text="where the venue keeps it until it triggers",
    )
    algo_id = models.BigIntegerField(null=True, blank=True, help_text="of a conditional order of USD-M")
    order_list = models.ForeignKey(
        OrderList, null=True, blank=True, on_delete=models.PROTECT, related_name="legs"
    )
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="orders")
    decision = models.ForeignKey(
        Decision, null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    strategy = models.ForeignKey(Strategy, null=True, blank=True, on_delete=models.PROTECT)
    model_version = models.CharField(
        max_length=121,
        blank=True,
        default="",
        help_text="name@version of the model behind its decision, if any",
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )

    replaces = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="replacements",
        help_text="the order that the same request cancels first",
    )

    side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    position_side = models.CharField(
        max_length=5, choices=[(s.value, s.value) for s in PositionSide], default=PositionSide.BOTH
    )
    type = models.CharField(max_length=20, help_text="as asked for")
    venue_type = models.CharField(
        max_length=20, choices=[(t.value, t.value) for t in OrderType], help_text="as sent"
    )
    time_in_force = models.CharField(
        max_length=4, blank=True, choices=[(t.value, t.value) for t in TimeInForce]
    )
    quantity = money()
    price = money(null=True, blank=True)
    reduce_only = models.BooleanField(default=False)
    stop_price = money(null=True, blank=True, help_text="the trigger; of a trailing stop what activates it")
    callback_bps = models.PositiveIntegerField(null=True, blank=True, help_text="distance of a trailing stop")
    working_type = models.CharField(
        max_length=14, blank=True, choices=[(w.value, w.value) for w in WorkingType]
    )
    close_position = models.BooleanField(default=False)
    prevention = models.CharField(
        max_length=16,
        blank=True,
        default="",
        choices=[(m.value, m.value) for m in SelfTradePrevention],
        help_text="of self-trades at the venue, as sent",
    )
    triggered_at = models.DateTimeField(null=True, blank=True)
    arrival_mid = money(null=True, blank=True, help_text="the mid price when it was decided, for slippage")

    status = models.CharField(max_length=18, choices=[(s.value, s.value) for s in OrderStatus])
    executed_quantity = money(default=0)
    executed_quote = money(default=0)
    reported_status = models.CharField(
        max_length=18, blank=True, help_text="the furthest state the venue has told"
    )
    reported_executed = money(default=0, help_text="how much the venue says is executed; fills follow")
    open_quantity = money(
        default=0, help_text="what of the position's open quantities is its own; none where the venue cuts it"
    )
    reserved_notional = ledger_amount(default=0, help_text="held in the exposure buckets, quote currency")
    reserved_asset = models.CharField(max_length=20, blank=True)
    reserved_amount = ledger_amount(default=0, help_text="held of the balance of reserved_asset")
    fence = models.BigIntegerField(null=True, help_text="the lease under which it was sent")
    timestamp_ms = models.BigIntegerField(null=True, help_text="the signed timestamp, exactly as sent")
    recv_window_ms = models.PositiveIntegerField(null=True)
    not_found_at_ms = models.JSONField(
        default=list, help_text="venue times at which it was definitively not found"
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=200, blank=True)
    cancel_tried_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=40, blank=True, help_text="why it was denied, refused or released")
    message = models.TextField(blank=True)
    checks = models.JSONField(default=list, help_text="each rail's measured value and limit")
    adjustments = models.JSONField(default=list)

    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, help_text="not sent after this")
    sent_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="client_order_id_once"),
            models.UniqueConstraint(
                fields=["account", "instrument", "venue_order_id"],
                name="venue_order_id_once",
                condition=Q(venue_order_id__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["account", "algo_id"], name="algo_id_once", condition=Q(algo_id__isnull=False)
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
            models.CheckConstraint(
                condition=Q(executed_quantity__lte=F("quantity")), name="executed_within_quantity"
            ),
            models.CheckConstraint(
                condition=Q(reserved_notional__gte=0, reserved_amount__gte=0, open_quantity__gte=0),
                name="reservations_not_negative",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "shard", "id"], name="orders_open", condition=Q(status__in=_OPEN)
            ),
            models.Index(fields=["account", "-created_at"], name="orders_by_time"),
            models.Index(fields=["instrument", "-id"], name="orders_by_symbol"),
            models.Index(fields=["status", "-id"], name="orders_by_status"),
            models.Index(
                fields=["account", "instrument", "-created_at"],
                name="orders_refused",
                condition=Q(status=OrderStatus.REJECTED.value),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.instrument_id} {self.status}"

    @property
    def remaining_quantity(self):  # type: ignore[no-untyped-def]
        """What is not executed yet, in base units of the instrument."""
        return self.quantity - self.executed_quantity


class OrderEvent(models.Model):
    """One step in an order's life: where it came from and who told us."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="events")
    status = models.CharField(max_length=18)
    source = models.CharField(
        max_length=12, help_text="rails, authorise, response, stream, query, sweep, cancel"
    )
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.order_id} {self.status} ({self.source})"
