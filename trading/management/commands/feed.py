import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from trading.daemons.feed import Feed


class Command(BaseCommand):
    # The checks load every page and its libraries, which a daemon would carry for ever; `prepare` runs them.
    requires_system_checks = ()
    help = "Stream market data and account events into the database until stopped. Example: manage.py feed"

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(Feed().run())
