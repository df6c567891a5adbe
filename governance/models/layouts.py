"""How people arranged the panels of pages, for themselves or for everybody of a role."""

from django.conf import settings
from django.db import models

from nautilus_site.common.models import Role


class PageLayout(models.Model):
    """One arrangement of one page: a person's own, or the one that was published for a role. Never both."""

    page = models.CharField(max_length=40, help_text="the name of its route")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="page_layouts"
    )
    role = models.CharField(max_length=16, choices=Role.choices, blank=True)
    places = models.JSONField(help_text="panels in their order: name, and width, height and folded where set")
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["page", "role", "person_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(person__isnull=False, role="")
                | models.Q(person__isnull=True, role__in=Role.values),
                name="page_layout_of_one",
            ),
            models.UniqueConstraint(
                fields=["page", "person", "role"], nulls_distinct=False, name="page_layout_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.page} of {self.person or self.role}"
