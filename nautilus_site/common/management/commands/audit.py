"""Verify the audit trail."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.services.audit_chain import audit_verify


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
        verdict = audit_verify(AuditHead(settings.NAUTILUS_HOME / "audit").noted())
        if options["json"]:
            answer = {
                "ok": verdict.ok,
                "rows": verdict.rows,
                "first_bad_id": verdict.first_bad_id,
                "unsealed": verdict.unsealed,
                "problem": verdict.problem,
                "head": verdict.head,
            }
            self.stdout.write(json.dumps(answer))
        elif verdict.ok:
            self.stdout.write(
                f"audit trail intact: {verdict.rows} entries sealed, {verdict.unsealed} waiting,"
                f" head {verdict.head}"
            )
        else:
            self.stdout.write(f"audit trail BROKEN at entry {verdict.first_bad_id}: {verdict.problem}")
        if not verdict.ok:
            raise SystemExit(1)
