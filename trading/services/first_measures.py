"""What strategies want waits for the first measures the rails go by, in place of being denied order by order."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from nautilus_site.common.clock import now
from trading.models import Account, LossMeasure, VenueClock
from trading.services.scopes import GLOBAL

LATELY: Final = timedelta(seconds=60)
LOSSES_WAIT_S: Final = 60.0
"""After this the rail says that losses are not measured, which may be worth knowing."""
_measured: set[int] = set()
_first_asked: dict[int, float] = {}


def measures_awaited(account_id: int) -> bool:
    """Whether a process that has just started still waits for a first look at the venue's clock and at losses.

    What strategies want is held back until then, a second or two. Asked of the database until both were seen once;
    what grows old later is the rails' business. Without a clock nothing is ever planned; losses get a minute.
    """
    if account_id in _measured:
        return False
    began = _first_asked.setdefault(account_id, time.monotonic())
    venue = Account.objects.filter(pk=account_id).values_list("venue__name", flat=True)[:1]
    if not VenueClock.objects.filter(venue__in=venue, measured_at__gt=now() - LATELY).exists():
        return True
    if time.monotonic() - began < LOSSES_WAIT_S and not _losses_told(account_id):
        return True
    _measured.add(account_id)
    return False


def _losses_told(account_id: int) -> bool:
    name = Account.objects.values_list("name", flat=True).get(pk=account_id)
    rows = LossMeasure.objects.filter(scope__in=(GLOBAL, f"account:{name}"), measured_at__gt=now() - LATELY)
    return rows.count() == 2
