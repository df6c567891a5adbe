from typing import Any

from django.core.management.base import BaseCommand

from trading.daemons import exporter


class Command(BaseCommand):
    # The checks load every page and its libraries, which a daemon would carry for ever; `prepare` runs them.
    requires_system_checks = ()
    help = "Publish account and market metrics on EXPORTER_PORT until stopped. Example: manage.py exporter"

    def handle(self, *args: Any, **options: Any) -> None:
        exporter.run()
