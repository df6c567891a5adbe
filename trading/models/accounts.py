"""Accounts at a venue, the keys that reach them, and what they hold by our own ledger."""

from django.db import models

from trading.models.columns import ledger_amount


class Account(models.Model):
    """One account at one venue. Nothing is sent for it until it was reconciled a short while ago."""

    name = models.SlugField(max_length=40, unique=True)
    venue = models.ForeignKey("universe.Venue", on_delete=models.PROTECT)
    is_active = models.BooleanField(default=True)
    hedge_mode = models.BooleanField(
        default=False, help_text="USD-M: a long and a short position side by side on one symbol"
    )
    isolated_margin = models.BooleanField(
        default=False, help_text="USD-M: margin kept apart by symbol; what the venue must be set to"
    )
    shards = models.PositiveSmallIntegerField(
        default=4, help_text="order lanes that may send at the same time"
    )
    venue_identity = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="the exchange's own name of the account, as the first key that was used told it",
    )
    opened_at = models.DateTimeField(null=True, blank=True, help_text="when the opening balances were booked")
    reconciled_at = models.DateTimeField(
        null=True, blank=True, help_text="end of the last clean reconciliation"
    )
    day_started_on = models.DateField(null=True, blank=True)
    day_start_equity = ledger_amount(null=True, blank=True)
    peak_equity = ledger_amount(null=True, blank=True)
    transferred = ledger_amount(
        default=0, help_text="what came in less what went out since the opening, as it was worth then"
    )

    def __str__(self) -> str:
        return self.name

    @property
    def market(self) -> str:
        """`spot` or `usdm`."""
        return self.venue.market


class Credential(models.Model):
    """A key for one purpose. The secret is sealed to a public key: this row cannot be opened by the web process.

    A revoked one has no secret any more and is opened by nobody; its row stays until another takes its place.
    """

    class Purpose(models.TextChoices):
        EXECUTOR = "executor"
        FEED = "feed"
        WATCHDOG = "watchdog"
        EXPORTER = "exporter"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="credentials")
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    api_key = models.CharField(max_length=128)
    sealed_secret = models.BinaryField()
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")
    test_asked_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    test_flags = models.JSONField(default=dict, help_text="what the venue said the key may do")
    test_result = models.TextField(blank=True, default="", help_text="what was wrong; empty: nothing")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "purpose"], name="one_key_per_purpose"),
            models.CheckConstraint(
                condition=models.Q(revoked_at=None) | models.Q(sealed_secret=b""),
                name="revoked_key_has_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.purpose} …{self.last_four}"


class Balance(models.Model):
    """What the ledger says the account holds of an asset: the sum of its entries, kept beside them."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="balances")
    asset = models.CharField(max_length=20)
    amount = ledger_amount(default=0)
    reserved = ledger_amount(default=0, help_text="promised to orders that are not over yet")
    venue_free = ledger_amount(default=0, help_text="as the venue last reported it")
    venue_locked = ledger_amount(default=0)
    venue_seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "asset"], name="one_balance_per_asset"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="reserved_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.asset} {self.amount}"


class SubBalance(models.Model):
    """One owner's part of a balance: the sum of its ledger entries. An owner may be short of what others hold."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sub_balances")
    owner = models.CharField(max_length=40, blank=True)
    asset = models.CharField(max_length=20)
    amount = ledger_amount(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "owner", "asset"], name="one_sub_balance_per_asset")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.owner or 'people'} {self.asset} {self.amount}"


class MarginTerms(models.Model):
    """USD-M: leverage, margin type and brackets of one symbol at the venue. Without a row leverage counts as 1."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="margin_terms")
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    leverage = models.PositiveSmallIntegerField(default=1)
    isolated = models.BooleanField(default=False)
    brackets = models.JSONField(
        default=list,
        help_text="[notional below, maintenance rate, deducted] as the venue has them; empty: never read",
    )
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "margin terms"
        constraints = [
            models.UniqueConstraint(fields=["account", "instrument"], name="one_margin_per_symbol"),
            models.CheckConstraint(condition=models.Q(leverage__gte=1), name="leverage_at_least_one"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.instrument_id} x{self.leverage}"


class IncomeCursor(models.Model):
    """How far the venue's income was read. What came before the opening belongs to the opening balance."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="income_cursor")
    opened_ms = models.BigIntegerField(help_text="the venue's time; earlier rows belong to the opening")
    opening_ids = models.JSONField(default=list, help_text="rows of that very millisecond that do, too")
    read_to_ms = models.BigIntegerField()
    read_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.account_id} income > {self.read_to_ms}"


class TradeCursor(models.Model):
    """The last trade id of a symbol that is certainly in our ledger; sweeps go on from there."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    instrument = models.ForeignKey("universe.Instrument", on_delete=models.PROTECT)
    last_trade_id = models.BigIntegerField(default=0)
    opening_trade_id = models.BigIntegerField(
        default=0, help_text="the last trade that belongs to the opening balance"
    )
    last_order_id = models.BigIntegerField(
        null=True, help_text="orders up to this one were looked at, or are older than the account's opening"
    )
    swept_at = models.DateTimeField(null=True, help_text="when the venue was last asked for trades here")
    deep_swept_at = models.DateTimeField(null=True, help_text="when all its orders were last looked at")
    opened_at = models.DateTimeField(help_text="trades before this belong to the opening balance")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "instrument"], name="one_cursor_per_symbol")
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.instrument} > {self.last_trade_id}"
