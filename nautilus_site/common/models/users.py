"""People. One role each, so that nobody can hold two that must be kept apart."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer", "viewer"
    TRADER = "trader", "trader"
    RISK_OFFICER = "risk_officer", "risk officer"
    MODEL_OWNER = "model_owner", "model owner"
    ADMIN = "admin", "admin"


class User(AbstractUser):
    """A person or a script's owner. The single role decides what they may do."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]

    def __str__(self) -> str:
        return self.username
