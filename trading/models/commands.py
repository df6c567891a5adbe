"""Cancels and amendments: written down before they are sent, with what came of them."""

from django.db import models
from django.db.models import Q

from trading.models.columns import money
from trading.models.orders import Order


class OrderCommand(models.Model):
    """One thing asked of a working order. A cancel may be sent again; an amendment is sent once, then asked about."""

    class Kind(models.TextChoices):
        CANCEL = "cancel"
        AMEND = "amend"

    class State(models.TextChoices):
        REQUESTED = "requested"
        SENDING = "sending"
        UNKNOWN = "unknown"
        DONE = "done"
        REFUSED = "refused"
        VOID = "void", "void: the order was over first"

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="commands")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    intent_key = models.CharField(max_length=120, unique=True, help_text="one command per key, for ever")
    state = models.CharField(max_length=9, choices=State.choices, default=State.REQUESTED)
    quantity = money(null=True, blank=True, help_text="an amendment's new quantity")
    price = money(null=True, blank=True, help_text="an amendment's new price; none keeps it")
    requested_by = models.CharField(max_length=150)
    reason = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="times it was put on the wire")
    timestamp_ms = models.BigIntegerField(null=True, help_text="an amendment's signed timestamp, as sent")
    recv_window_ms = models.PositiveIntegerField(null=True)
    code = models.CharField(max_length=40, blank=True)
    message = models.TextField(blank=True)
    requested_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="cancel") | Q(quantity__isnull=False), name="amendment_has_a_quantity"
            ),
            models.CheckConstraint(
                condition=~Q(kind="amend") | Q(attempts__lte=1), name="amendment_is_sent_once"
            ),
        ]
        indexes = [models.Index(fields=["order", "id"], name="commands_open", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.kind} of order {self.order_id}: {self.state}"
