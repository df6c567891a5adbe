"""What people ask and answer about a request before somebody decides."""

from django.conf import settings
from django.db import models

from nautilus_site.common.models.change_requests import ChangeRequest


class ChangeComment(models.Model):
    """One contribution to the thread of a request; written once, kept with it."""

    LONGEST = 2000

    request = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=LONGEST)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.author} about {self.request}"
