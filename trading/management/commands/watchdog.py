from typing import Any

from django.core.management.base import BaseCommand

from trading.daemons.watchdog import Watchdog


class Command(BaseCommand):
    # The checks load every page and its libraries, which a daemon would carry for ever; `prepare` runs them.
    requires_system_checks = ()
    help = "Enforce kills at the exchange with a key of its own until stopped. Example: manage.py watchdog"

    def handle(self, *args: Any, **options: Any) -> None:
        Watchdog().run()
