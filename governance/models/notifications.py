"""Where people are told, of what, and what became of each message."""

from django.db import models

from governance.domain.notices import SEVERITIES
from governance.domain.receivers import ReceiverKind

_SEVERITIES = [(severity, severity) for severity in SEVERITIES]


class NotificationChannel(models.Model):
    """One receiver. Its address is sealed like an exchange key: the web process stores one and cannot read it."""

    name = models.SlugField(max_length=40, unique=True)
    kind = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in ReceiverKind])
    host = models.CharField(max_length=253, help_text="the only host messages of this channel go to")
    shown = models.JSONField(default=dict, help_text="the members that are no secret")
    sealed = models.BinaryField()
    is_enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True, blank=True, help_text="critical notices pass all the same")
    created_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0, help_text="attempts in a row that told nothing")
    retry_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    claim = models.CharField(max_length=32, blank=True, help_text="the sending child under way")
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class NotificationRoute(models.Model):
    """Which notices a channel gets. The most narrow route that covers a kind decides; switched off, it silences it."""

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="routes")
    kind = models.CharField(max_length=80, help_text="`*`, a kind, or a wider one with `.*` behind")
    severity = models.CharField(max_length=8, choices=_SEVERITIES, default="warning")
    digest_s = models.PositiveIntegerField(
        default=0,
        help_text="collect for so long, then send one message; 0 sends at once, as critical ones always are",
    )
    dedupe_s = models.PositiveIntegerField(
        default=300, help_text="the same news within this time is counted, not sent"
    )
    is_enabled = models.BooleanField(default=True)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["channel__name", "kind"]
        constraints = [models.UniqueConstraint(fields=["channel", "kind"], name="one_route_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} from {self.severity} to {self.channel_id}"


class NotificationDelivery(models.Model):
    """One notice on its way to one channel."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed", "given up"

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    kind = models.CharField(max_length=80)
    severity = models.CharField(max_length=8, choices=_SEVERITIES)
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    link = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=240, blank=True, help_text="what it is about")
    news = models.CharField(max_length=40, blank=True, help_text="what is new of it")
    is_over = models.BooleanField(
        default=False, help_text="other news of the subject came, though not to this channel"
    )
    event_id = models.BigIntegerField(null=True, help_text="the outbox event it tells of; none for a test")
    event_at = models.DateTimeField(help_text="when it happened")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    retry_at = models.DateTimeField(null=True, help_text="after a failure: not before")
    is_digest = models.BooleanField(default=False)
    repeats = models.PositiveIntegerField(default=0, help_text="how often the same news came again meanwhile")
    before = models.PositiveIntegerField(default=0, help_text="how often it came before, untold")
    attempts = models.PositiveIntegerField(default=0)
    claim = models.CharField(max_length=32, blank=True)
    message = models.PositiveSmallIntegerField(
        null=True, help_text="its place among what the child was given"
    )
    error = models.CharField(max_length=300, blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "notification deliveries"
        constraints = [
            # However often the events are read: each is told once on a channel.
            models.UniqueConstraint(
                fields=["channel", "event_id"],
                condition=models.Q(event_id__isnull=False),
                name="one_delivery_per_event",
            ),
        ]
        indexes = [
            models.Index(
                fields=["channel", "due_at"],
                condition=models.Q(state="waiting"),
                name="deliveries_waiting",
            ),
            models.Index(fields=["channel", "subject", "-id"], name="deliveries_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel_id}: {self.state}"


class EventCursor(models.Model):
    """How far one reader of the outbox has got."""

    name = models.CharField(max_length=40, primary_key=True)
    event_id = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.event_id}"
