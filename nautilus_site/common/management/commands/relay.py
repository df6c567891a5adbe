"""Run the relay until told to stop."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from nautilus_site.common.daemons.relay import Relay


class Command(BaseCommand):
    # The checks load every page and its libraries, which a daemon would carry for ever; `prepare` runs them.
    requires_system_checks = ()
    help = (
        "Number events in commit order, push and mirror them, seal the audit trail. "
        "One works at a time; a second one stands by. Example: manage.py relay"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay(settings.NAUTILUS_HOME)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: relay.stop())
        relay.run()
