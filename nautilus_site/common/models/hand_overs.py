"""Who was asked to look at a request, by whom: facts, of which the newest counts."""

from django.conf import settings
from django.db import models

from nautilus_site.common.models.change_requests import ChangeRequest


class ChangeHandOver(models.Model):
    """One request put into somebody's hands, or given back to everybody. Written once; it gives nobody any power."""

    LONGEST = 2000

    request = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="hand_overs")
    giver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    receiver = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="none: it is everybody's again",
    )
    note = models.TextField(max_length=LONGEST, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.request} from {self.giver} to {self.receiver or 'everybody'}"
