"""The audit trail: plain inserts in the business transaction, sealed into a hash chain in batches."""

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    """One change, written in the same transaction as the change. Triggers refuse UPDATE, DELETE and TRUNCATE."""

    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    actor_name = models.CharField(
        max_length=150, help_text="kept as text: a process name where no person acted"
    )
    action = models.CharField(max_length=80, db_index=True)
    target = models.CharField(max_length=160, db_index=True)
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(
                fields=["request_id", "id"], name="audit_entry_request", condition=~models.Q(request_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.target}"


class UnsealedEntry(models.Model):
    """The sealer's queue: a trigger adds every audit entry in its own transaction, sealing takes it out.

    A queue rather than "everything after the last sealed id", because a long transaction commits entries
    whose ids are lower than ones sealed already.
    """

    entry_id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return str(self.entry_id)


class AuditSeal(models.Model):
    """The chain: sha256 over the previous seal, the time, and the digest of every entry of the batch."""

    form = models.PositiveSmallIntegerField(
        default=1, help_text="of the canonical text the digests are of: audit_digests.FORM"
    )
    entry_ids = models.JSONField(help_text="the sealed entries, in sealing order")
    entry_hashes = models.JSONField(
        help_text="sha256 of the canonical text of each, to name the one that changed"
    )
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            # One successor per seal: two sealers at once cannot fork the chain.
            models.UniqueConstraint(fields=["previous_hash"], name="audit_chain_does_not_fork"),
        ]

    def __str__(self) -> str:
        return self.hash[:12]


class AuditVerification(models.Model):
    """The whole chain being recomputed by workers, piece by piece, and what came of it."""

    class State(models.TextChoices):
        RUNNING = "running"
        INTACT = "intact"
        BROKEN = "broken"

    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)
    requested_at = models.DateTimeField()
    stepped_at = models.DateTimeField(null=True, help_text="when a worker last got further")
    finished_at = models.DateTimeField(null=True)
    seal = models.BigIntegerField(default=0, help_text="the last seal found right")
    head = models.CharField(max_length=64, blank=True, help_text="its hash")
    form = models.PositiveSmallIntegerField(default=0, help_text="and its form")
    rows = models.BigIntegerField(default=0, help_text="sealed entries looked at")
    notes_end = models.BigIntegerField(
        default=0, help_text="bytes of the notes outside the database looked at"
    )
    noted = models.BinaryField(null=True, help_text="which seals they vouch for, a bit each, while it runs")
    total = models.BigIntegerField(default=0, help_text="entries there were when it was asked for")
    first_bad_id = models.BigIntegerField(null=True)
    problem = models.CharField(max_length=300, blank=True)
    unsealed = models.BigIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="running"), name="one_audit_verification_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.rows} of {self.total}"
