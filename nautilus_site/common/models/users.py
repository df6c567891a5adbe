"""People. One role each, so that nobody can hold two that must be kept apart."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac


class Role(models.TextChoices):
    VIEWER = "viewer", "viewer"
    TRADER = "trader", "trader"
    RISK_OFFICER = "risk_officer", "risk officer"
    MODEL_OWNER = "model_owner", "model owner"
    ADMIN = "admin", "admin"


class User(AbstractUser):
    """A person or a script's owner. The single role decides what they may do."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    session_epoch = models.PositiveIntegerField(
        default=0, editable=False, help_text="raised to end every session there is"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]

    def __str__(self) -> str:
        return self.username

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session must hold to be this person's. Django's holds the password; here the epoch as well.

        Both public methods of Django, for the key in force and for those before it, go through this one.
        """
        salt = "nautilus_site.common.models.User.session_auth_hash"
        text = f"{self.session_epoch}:{self.password}"
        return salted_hmac(salt, text, secret=secret, algorithm="sha256").hexdigest()
