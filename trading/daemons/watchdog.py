"""The watchdog: a second way to stop. Its own key, its own database connection; no broker, no Celery.

It raises the level when the flag file appears, and cancels at the exchange what a kill demands, whatever else of
the platform is down.
"""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import cast

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.hints import hints_withheld
from trading.domain.errors import DomainError
from trading.domain.ports import FuturesVenue
from trading.domain.values import Level, Market
from trading.models import Account, Credential, TradingState
from trading.services.controls import enforcement_step, enforcements_due, kill_raise
from trading.services.controls.dead_man import DeadMan
from trading.services.heartbeats import heartbeat
from trading.services.scopes import GLOBAL
from trading.services.venues import execution_venue

log = structlog.get_logger(__name__)

FLAG_FILE = "HALT"
ROUND_S = 0.25
HEARTBEAT_S = 2.0


class Watchdog:
    """A plain loop: look at the flag and the levels, enforce, sleep a little."""

    def __init__(self) -> None:
        self._stopping = False
        self._beat_at = 0.0
        self._dead_men: dict[int, DeadMan] = {}
        self.flag = Path(settings.NAUTILUS_HOME) / FLAG_FILE

    def run(self) -> None:
        """Run until SIGTERM. A failure of one round never ends the loop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopping:
            try:
                close_old_connections()
                with hints_withheld():
                    self.round()
            except (DatabaseError, InterfaceError, DomainError, ApplicationError) as error:
                log.warning("watchdog_round_failed", error=f"{type(error).__name__}: {error}"[:300])
            time.sleep(ROUND_S)

    def round(self) -> None:
        """One look at everything."""
        if self.flag.exists():
            self._raise_by_flag()
        for account in Account.objects.select_related("venue").filter(
            is_active=True, opened_at__isnull=False
        ):
            try:
                self._enforce(account)
                self._renew_dead_man(account)
            except (DomainError, ApplicationError) as error:
                # One account that cannot be reached must not keep the others' orders at the exchange.
                log.warning("watchdog_account_failed", account=account.name, error=str(error)[:300])
        if time.monotonic() - self._beat_at > HEARTBEAT_S:
            self._beat_at = time.monotonic()
            heartbeat(kind="watchdog", detail={"flag": self.flag.exists()})

    def _enforce(self, account: Account) -> None:
        for due in enforcements_due(account, "watchdog"):
            enforcement_step(
                account=account,
                venue=execution_venue(account, Credential.Purpose.WATCHDOG),
                due=due,
                enforcer="watchdog",
                connect=partial(execution_venue, account, Credential.Purpose.WATCHDOG),
            )

    def _renew_dead_man(self, account: Account) -> None:
        """When this process and everything else is gone, the venue cancels what rests there."""
        if account.market == Market.usdm:
            dead_man = self._dead_men.setdefault(account.pk, DeadMan())
            venue = execution_venue(account, Credential.Purpose.WATCHDOG)
            dead_man.renew(account, cast(FuturesVenue, venue))

    def _raise_by_flag(self) -> None:
        level = TradingState.objects.filter(scope=GLOBAL).values_list("level", flat=True).first()
        if level is None or level < Level.CANCEL:
            kill_raise(scope=GLOBAL, level=Level.CANCEL, reason=f"flag file {FLAG_FILE}", actor="watchdog")
            log.warning("halted_by_flag_file")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
