"""What a strategy may put into each new listing of an account."""

from django.db import models

from trading.models.accounts import Account
from trading.models.columns import money
from trading.models.strategies import Strategy


class ListingGrant(models.Model):
    """Two people's standing word: symbols listed from now on may be traded, each with so much, so many a day."""

    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="listing_grants")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    quote_asset = models.CharField(max_length=20, default="USDT", help_text="only listings priced in it")
    allocation = money(default=0, help_text="capital for each listing, in quote currency")
    per_day = models.PositiveSmallIntegerField(
        default=0, help_text="listings of 24 hours that may be bought, at most"
    )
    granted_by = models.CharField(max_length=320, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["strategy", "account"], name="one_listing_grant_per_account"),
            models.CheckConstraint(condition=models.Q(allocation__gte=0), name="listing_grant_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} on new listings of {self.account}"
