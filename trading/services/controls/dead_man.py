"""The venue's own dead-man on USD-M: a countdown per symbol that cancels its orders unless somebody keeps renewing it.

It covers ordinary orders. Conditional orders stand in another service, which the countdown does not touch at the
paper exchange; so protection outlives a platform that is gone, and a position is not left naked by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from trading.domain.errors import VenueError
from trading.domain.ports import FuturesVenue
from trading.models import Account, Order, SymbolAllowance

COUNTDOWN_MS = 120_000
RENEW_EVERY_S = 30.0
LOOK_EVERY_S = 2.0
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DeadMan:
    """Which countdowns of one account are armed, and when that was renewed. Lives in one process."""

    clock: Callable[[], float] = time.monotonic
    armed: dict[str, float] = field(default_factory=dict)
    looked_at: float = float("-inf")

    def renew(self, account: Account, venue: FuturesVenue) -> None:
        """Arm what became active, renew what is due, and disarm what is not active any more.

        A symbol that is left armed and not renewed would take the orders of its next use with it.
        """
        moment = self.clock()
        if moment - self.looked_at < LOOK_EVERY_S:
            return
        self.looked_at = moment
        active = symbols_active(account)
        for symbol in sorted(active | set(self.armed)):
            if symbol in active and moment - self.armed.get(symbol, float("-inf")) < RENEW_EVERY_S:
                continue
            try:
                venue.countdown_cancel(symbol, countdown_ms=COUNTDOWN_MS if symbol in active else 0)
            except VenueError as error:
                # The next look tries again; until then the last renewal counts down.
                log.warning(
                    "dead_man_not_renewed", account=account.name, symbol=symbol, error=str(error)[:200]
                )
                continue
            if symbol in active:
                self.armed[symbol] = moment
            else:
                del self.armed[symbol]


def symbols_active(account: Account) -> set[str]:
    """Symbols an order may rest on: those that may be traded, and those that have one."""
    allowed = SymbolAllowance.objects.filter(account=account).values_list("instrument__symbol", flat=True)
    resting = Order.objects.filter(account=account, ended_at=None).values_list(
        "instrument__symbol", flat=True
    )
    return {*allowed, *resting}
