"""The sealed way back in, from the machine itself: for when nobody is left who may let people in."""

from __future__ import annotations

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import BreakGlass
from nautilus_site.common.services.break_glass import (
    Kept,
    break_glass_close,
    break_glass_open,
    break_glass_seal,
)


class Command(BaseCommand):
    help = (
        "Seal a way back in for two people, open it with both halves and both passwords, or close it. "
        "Example: manage.py break_glass seal trader model_owner"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="status|seal|open|close")
        actions.add_parser("status", help="whether it is sealed, for whom, or open and until when")
        seal = actions.add_parser("seal", help="print a half for each of two people; an earlier seal ends")
        seal.add_argument("first", help="who becomes an admin")
        seal.add_argument("second", help="who becomes a risk officer")
        for action in (actions.add_parser("open", help="for an hour; asks for halves and passwords"),
                       actions.add_parser("close", help="both have their own role again")):  # fmt: skip
            action.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error}") from None

    def _status(self, options: dict[str, Any]) -> None:
        row = BreakGlass.objects.select_related("first", "second").filter(ended_at=None).first()
        if row is None:
            self.stdout.write("nothing is sealed")
        elif row.opened_at is None:
            self.stdout.write(f"sealed {row.sealed_at:%Y-%m-%d %H:%M} for {row.first} and {row.second}")
        else:
            self.stdout.write(
                f"OPEN until {row.ends_at:%H:%M:%S} UTC: {row.first} admin, {row.second} risk officer"
            )

    def _seal(self, options: dict[str, Any]) -> None:
        halves = break_glass_seal(first=options["first"], second=options["second"])
        for name, half in zip((options["first"], options["second"]), halves, strict=True):
            self.stdout.write(f"{name}: {half}")
        self.stdout.write(
            "Each is shown this once. Give each half to its keeper alone, on paper, in an envelope."
        )

    def _open(self, options: dict[str, Any]) -> None:
        given = [
            Kept(half=getpass(f"half of the {which}: "), password=getpass(f"password of the {which}: "))
            for which in ("first", "second")
        ]
        row = break_glass_open(first=given[0], second=given[1], reason=options["reason"])
        self.stdout.write(
            f"open until {row.ends_at:%H:%M:%S} UTC: {row.first} admin, {row.second} risk officer"
        )

    def _close(self, options: dict[str, Any]) -> None:
        row = break_glass_close(reason=options["reason"])
        self.stdout.write(f"closed: {row.first} {row.first.role}, {row.second} {row.second.role}")
