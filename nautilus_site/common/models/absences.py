"""Who said that they are away, until when, and who looks at what is handed to them meanwhile."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class Absence(models.Model):
    """A person's own word that they are away; over by itself at `until`. It moves no power."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="absence"
    )
    until = models.DateTimeField()
    stand_in = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    said_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(stand_in=None) | ~Q(stand_in=F("user")), name="nobody_stands_in_for_themselves"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is away until {self.until}"
