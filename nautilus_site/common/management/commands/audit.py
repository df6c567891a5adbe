"""Verify the audit trail from a shell."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nautilus_site.common.errors import Conflict
from nautilus_site.common.services.audit_losses import audit_verified_now


class Command(BaseCommand):
    help = (
        "Recompute the hash chain of the audit trail and compare it with the head file. "
        "Example: manage.py audit verify --json. Exit 1 when an entry was changed, removed or put in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="verify")
        verify = actions.add_parser("verify", help="check every entry against the chain")
        verify.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            verdict = audit_verified_now()
        except Conflict as busy:
            raise CommandError(f"{busy.code}: {busy}") from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(verdict)))
        elif verdict.ok:
            self.stdout.write(
                f"audit trail intact: {verdict.rows} entries sealed, {verdict.unsealed} waiting,"
                f" head {verdict.head}"
            )
        else:
            self.stdout.write(f"audit trail BROKEN at entry {verdict.first_bad_id}: {verdict.problem}")
        if not options["json"]:
            self.stdout.writelines(verdict.accepted)
        if not verdict.ok:
            raise SystemExit(1)
