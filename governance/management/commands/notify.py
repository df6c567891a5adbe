"""`manage.py notify`: tell people something by hand, through the routes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.domain.notices import SEVERITIES, Notice, Severity
from governance.services.notifications import notice_raise


class Command(BaseCommand):
    help = "Tell people something through the channels; a worker sends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--message", required=True, help="what to tell")
        parser.add_argument("--severity", choices=SEVERITIES, default="info")
        parser.add_argument("--source", default="person", help="who tells it; routes see manual.SOURCE")

    def handle(self, *args: Any, **options: Any) -> None:
        message, source = str(options["message"]).strip(), str(options["source"])
        if not message:
            raise CommandError("--message is empty")
        if not source.isidentifier():
            raise CommandError("--source: expected one word of letters, digits and _")
        told = notice_raise(
            Notice(
                kind=f"manual.{source}",
                severity=Severity(options["severity"]),
                title=message[:300],
                text="",
                link="",
                subject=f"manual:{source}:{message[:180]}",
            )
        )
        if not told:
            raise CommandError("no channel has a route that covers it, or it was told a moment ago")
        self.stdout.write(f"{told} channel{'' if told == 1 else 's'} will be told")
