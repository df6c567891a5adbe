"""How a new person gets their first password: a link from one person and a code from another."""

from django.conf import settings
from django.db import models


class Invitation(models.Model):
    """Two halves, each shown once and kept as a digest. Whoever holds one of them can do nothing."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invitation")
    link_digest = models.CharField(max_length=64, null=True, unique=True, editable=False)
    link_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    link_expires_at = models.DateTimeField(null=True)
    code_hash = models.CharField(max_length=128, blank=True, editable=False)
    code_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    code_expires_at = models.DateTimeField(null=True)
    failures = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(link_by=None)
                | models.Q(code_by=None)
                | ~models.Q(link_by=models.F("code_by")),
                name="invitation_halves_of_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation of {self.user}"
