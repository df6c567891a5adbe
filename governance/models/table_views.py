"""Views of tables that people keep: a search, an order, hidden columns and filters under a name."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower


class TableView(models.Model):
    """A view of one table. Its owner sees it, everybody where it is shared; only the owner changes it."""

    LONGEST_NAME = 60

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="table_views")
    table = models.CharField(max_length=64, help_text="page and table, such as orders.fills")
    name = models.CharField(max_length=LONGEST_NAME)
    state = models.JSONField(default=dict, help_text="what differs from the table as it comes")
    is_shared = models.BooleanField(default=False)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["table", "name", "id"]
        constraints = [
            models.UniqueConstraint("owner", "table", Lower("name"), name="table_view_name_is_new"),
        ]
        indexes = [models.Index(fields=["table"], name="table_view_of_table")]

    def __str__(self) -> str:
        return f"{self.name} of {self.table}"


class DefaultView(models.Model):
    """The view a person opens a table with; their own or a shared one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="default_views")
    view = models.ForeignKey(TableView, on_delete=models.CASCADE, related_name="defaults")
    table = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "table"], name="default_view_is_one"),
        ]

    def __str__(self) -> str:
        return f"{self.user} opens {self.table} with {self.view.name}"
