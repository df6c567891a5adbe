"""`manage.py playbooks`: what is armed, a rehearsal, the incidents, a day's compliance report."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.models import Rehearsal
from governance.selectors.playbooks import (
    incident_members,
    incidents_shown,
    playbook_members,
    playbook_queryset,
    rehearsal_members,
    report_members,
)
from governance.services.playbooks import compliance_generate, rehearsal_start
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User


class Command(BaseCommand):
    help = "list | incidents | rehearse NAME --user U | report [--day YYYY-MM-DD]"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="every playbook and what it last saw")
        verbs.add_parser("incidents", help="the newest incidents")
        rehearse = verbs.add_parser(
            "rehearse", help="put a fault into the paper exchange and wait for the marks"
        )
        rehearse.add_argument("name")
        rehearse.add_argument("--user", required=True, help="in whose name the undo is asked for")
        rehearse.add_argument("--reason", default="rehearsal by command")
        rehearse.add_argument("--no-wait", action="store_true")
        report = verbs.add_parser(
            "report", help="generate a day's compliance report, yesterday's unless said"
        )
        report.add_argument("--day", type=date.fromisoformat)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except ApplicationError as error:
            raise CommandError(error.message) from None

    def _list(self, options: dict[str, Any]) -> None:
        for row in playbook_queryset():
            told = playbook_members(row)
            armed = "armed" if told["is_armed"] else "not armed"
            self._say(options, told, f"{row.name}: {armed}, at {row.threshold:g} {row.unit}")
            if not options["json"]:
                for watch in told["watches"]:
                    self.stdout.write(
                        f"  {watch['scope']}: {watch['detail']} ({watch['verdict'] or 'not read'})"
                    )

    def _incidents(self, options: dict[str, Any]) -> None:
        for row in incidents_shown(50):
            told = incident_members(row)
            self._say(options, told, f"{row.pk} {row.state} {row.severity} {row.scope}: {row.title}")

    def _rehearse(self, options: dict[str, Any]) -> None:
        person = User.objects.filter(username=options["user"], is_active=True).first()
        if person is None:
            raise CommandError(f"nobody is called {options['user']!r}")
        row = rehearsal_start(name=options["name"], actor=person, reason=options["reason"])
        self.stdout.write(f"rehearsal {row.pk}: the fault is in; expected on {row.scope}")
        while not options["no_wait"] and row.state == Rehearsal.State.WATCHING:
            time.sleep(1)
            row.refresh_from_db()
        if row.state == Rehearsal.State.STUCK:
            raise CommandError(f"the fault cannot be taken out yet: {row.error}")
        if row.state == Rehearsal.State.SCORED:
            self._say(options, rehearsal_members(row), f"{row.score} of 100")
            if not options["json"]:
                for mark in row.findings:
                    self.stdout.write(f"  {mark['points']:>3}/{mark['of']} {mark['name']}: {mark['said']}")

    def _report(self, options: dict[str, Any]) -> None:
        from datetime import timedelta

        from nautilus_site.common.clock import now

        row = compliance_generate(day=options["day"] or now().date() - timedelta(days=1))
        self._say(options, report_members(row), f"{row.day}: {row.violations} violations, in {row.path}")

    def _say(self, options: dict[str, Any], told: dict[str, Any], line: str) -> None:
        self.stdout.write(json.dumps(told, default=str) if options["json"] else line)
