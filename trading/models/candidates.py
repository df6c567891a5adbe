"""Keys that were approved and are not in use yet: a worker looks first at what they may do."""

from django.db import models

from trading.models.accounts import Credential


class CandidateKey(models.Model):
    """One approved key on its way into use. Its sealed secret is forgotten once it is decided."""

    class State(models.TextChoices):
        WAITING = "waiting"
        IN_USE = "in_use"
        REFUSED = "refused"
        SUPERSEDED = "superseded"

    account = models.ForeignKey("trading.Account", on_delete=models.CASCADE, related_name="candidate_keys")
    purpose = models.CharField(max_length=12, choices=Credential.Purpose.choices)
    api_key = models.CharField(max_length=128)
    sealed_secret = models.BinaryField()
    last_four = models.CharField(max_length=4)
    approval = models.UUIDField(help_text="the change request")
    approved_by = models.CharField(max_length=310, help_text="who asked and who approved")
    reason = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    flags = models.JSONField(default=dict, help_text="what the venue says the key may do")
    result = models.TextField(blank=True, help_text="why it is refused, or why it is not decided yet")
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "purpose"],
                condition=models.Q(state="waiting"),
                name="one_candidate_key_waits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.purpose} …{self.last_four} {self.state}"
