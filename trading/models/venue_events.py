"""The journal of what the user stream told us, before anything is made of it."""

from django.db import models

from trading.models.accounts import Account


class VenueEvent(models.Model):
    """One user-stream message, stored first and settled by a worker afterwards."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    kind = models.CharField(max_length=32)
    digest = models.CharField(
        max_length=64, help_text="sha256 of the message, so that a repeat is stored once"
    )
    payload = models.JSONField()
    received_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "digest"], name="message_stored_once")]
        indexes = [
            models.Index(
                fields=["account", "id"], name="events_unsettled", condition=models.Q(settled_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.kind}"
