"""API tokens: shown once, kept as a digest."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


class ApiToken(models.Model):
    """A bearer token. `scopes` narrows what its owner's role allows; it never widens it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text="empty = all the role allows"
    )
    addresses = ArrayField(
        models.CharField(max_length=49),
        default=list,
        blank=True,
        help_text="networks it is taken from; empty = any",
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.user} · {self.name}"
