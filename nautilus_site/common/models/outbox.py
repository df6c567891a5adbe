"""Events for everybody who watches: written with the change, numbered and pushed by the relay."""

from django.db import models


class OutboxEvent(models.Model):
    """`event_id` is null until the relay numbers it in commit order; clients resume from that number."""

    topic = models.CharField(max_length=32)
    at = models.DateTimeField()
    data = models.JSONField()
    event_id = models.BigIntegerField(null=True, unique=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="outbox_unnumbered", condition=models.Q(event_id=None)),
            models.Index(fields=["topic", "-event_id"], name="outbox_topic_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.topic}"
