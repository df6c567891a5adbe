"""Where a rebuild of the books may start from."""

from django.db import models

from trading.models.accounts import Account


class BookSnapshot(models.Model):
    """An account's books at one moment, with a hash over all of it; one whose hash is wrong is skipped."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="book_snapshots")
    at = models.DateTimeField()
    last_fill_id = models.BigIntegerField(default=0)
    last_transfer_id = models.BigIntegerField(default=0)
    last_ledger_id = models.BigIntegerField(default=0)
    content = models.JSONField(help_text="positions, balances and their parts, amounts as text")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the content and the three ids")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-id"], name="snapshots_by_account")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.at:%Y-%m-%d %H:%M}"
