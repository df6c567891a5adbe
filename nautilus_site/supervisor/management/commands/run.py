"""`manage.py run`, as Django's help lists it; `manage.py` itself takes a shorter way to the same function."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nautilus_site.supervisor.main import DESCRIPTION, EXAMPLE, run_platform


class Command(BaseCommand):
    help = DESCRIPTION
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(run_platform(os.environ))
