"""What a second person must agree to before it happens."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class ChangeRequest(models.Model):
    """A proposed risk-raising change: exactly this payload, once, by someone else, before it expires."""

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        APPLIED = "applied"
        REJECTED = "rejected"
        EXPIRED = "expired"
        VOID = "void"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=48)
    target = models.CharField(max_length=160, db_index=True)
    payload = models.JSONField()
    payload_hash = models.CharField(max_length=64)
    target_hash = models.CharField(max_length=64, help_text="the target as it was when the request was made")
    diff = models.JSONField(help_text='{"field": [before, after]}')
    effect = models.JSONField(default=dict, help_text="what it would do, in numbers")
    reason = models.TextField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING, db_index=True)
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="change_requests"
    )
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="change_decisions",
    )
    decision_note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(approver=None) | ~Q(approver=F("requester")), name="approver_is_not_requester"
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(approver__isnull=False, applied_at__isnull=False),
                name="applied_only_when_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target} ({self.state})"
