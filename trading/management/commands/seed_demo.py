from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from trading.services.demo import demo_install


class Command(BaseCommand):
    help = (
        "Create the demo's people, paper account, limits and strategies where they are missing. "
        "Example: BINANCE_ENV=local manage.py seed_demo"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.BINANCE_ENV != "local":
            raise CommandError("the demo exists only with BINANCE_ENV=local")
        self.stdout.write("demo created" if demo_install() else "demo is there already")
