"""What was answered to an Idempotency-Key, so that a retry gets the same answer and nothing happens twice."""

from django.conf import settings
from django.db import models


class IdempotencyRecord(models.Model):
    """One mutation under one key of one user. Inserted before the work; `status` is null while in flight."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="sha256 of method, path and canonical body")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(null=True, help_text="the first answer, byte for byte")
    headers = models.JSONField(default=dict, help_text="those of the first answer that belong to it")
    attempt = models.PositiveIntegerField(
        default=1, help_text="grows with every take-over; an older one cannot write"
    )
    claimed_at = models.DateTimeField(
        null=True, help_text="null when the last attempt gave up without an answer"
    )
    created_at = models.DateTimeField(db_index=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}:{self.key}"
