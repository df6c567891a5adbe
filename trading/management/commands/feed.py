import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from trading.daemons.feed import Feed


class Command(BaseCommand):
    help = "Stream market data and account events into the database until stopped. Example: manage.py feed"

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(Feed().run())
