"""What the steps of one run share: whom they ask, how much they look at, and what they found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet

from nautilus_site.common.services.leases import Held, lease_renew
from trading.domain.errors import VenueUnavailable
from trading.domain.ports import ExecutionVenue, MarketData, OrderReport
from trading.domain.sweeps import Sweep
from trading.models import Account, SymbolAllowance, TradeCursor
from trading.services.divergences import Report
from universe.models import Instrument

RENEW_EVERY_S = 2.0


@dataclass(slots=True)
class Run:
    """One run over one account.

    Attributes
    ----------
    startup : nobody has looked since the platform started or slept, so the run does S0's part as well.
    everything : look at every symbol ever traded, not only where something moved.
    since : when the run began; a symbol looked at after that is not looked at again when the run is resumed.
    """

    account: Account
    venue: ExecutionVenue
    market: Callable[[], MarketData] | None
    sweep: Sweep
    startup: bool
    everything: bool
    since: datetime
    held: Held
    report: Report
    open_orders: list[OrderReport] = field(default_factory=list)
    _renewed: float = field(default_factory=time.monotonic)

    def includes(self, sweep: Sweep) -> bool:
        """Whether this run does what `sweep` does. S0 does what S3 does."""
        own = Sweep.TRADES if self.sweep is Sweep.STARTUP else self.sweep
        return own >= sweep

    @property
    def is_usdm(self) -> bool:
        return self.account.market == "usdm"

    def keep_lease(self) -> None:
        """Call between two symbols.

        Raises
        ------
        VenueUnavailable : another worker has taken the account over; this run ends.
        """
        if time.monotonic() - self._renewed < RENEW_EVERY_S:
            return
        if not lease_renew(self.held):
            raise VenueUnavailable(None, f"another worker reconciles {self.account.name} now")
        self._renewed = time.monotonic()


def instruments_watched(account: Account) -> QuerySet[Instrument]:
    """Every instrument the account may trade, has a cursor for, and so has traded or could have."""
    allowed = SymbolAllowance.objects.filter(account=account).values("instrument_id")
    known = TradeCursor.objects.filter(account=account).values("instrument_id")
    return Instrument.objects.filter(venue=account.venue, pk__in=allowed.union(known)).order_by("symbol")
