"""Verify the audit trail, and write down what a restore lost of it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.audit_chain import audit_verify
from nautilus_site.common.services.audit_losses import audit_loss_acknowledge


class Command(BaseCommand):
    help = (
        "Recompute the hash chain of the audit trail and compare it with the head file. "
        "Example: manage.py audit verify --json. Exit 1 when an entry was changed, removed or put in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="verify|acknowledge")
        verify = actions.add_parser("verify", help="check every entry against the chain")
        verify.add_argument("--json", action="store_true", help="print one JSON object")
        acknowledge = actions.add_parser(
            "acknowledge", help="after a restore: write down that the seals it lost are known to be lost"
        )
        acknowledge.add_argument("--reason", required=True, help="which restore, and why")

    def handle(self, *args: Any, **options: Any) -> None:
        head = AuditHead(settings.NAUTILUS_HOME / "audit")
        if options["action"] == "acknowledge":
            self._acknowledge(head, options["reason"])
        else:
            self._verify(head, options)

    def _acknowledge(self, head: AuditHead, reason: str) -> None:
        try:
            loss = audit_loss_acknowledge(heads=head.noted(), actor="manage.py audit", reason=reason)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error}") from None
        self.stdout.write(f"{len(loss.seals)} lost seals are known to be lost")

    def _verify(self, head: AuditHead, options: dict[str, Any]) -> None:
        verdict = audit_verify(head.noted())
        if options["json"]:
            answer = {
                "ok": verdict.ok,
                "rows": verdict.rows,
                "first_bad_id": verdict.first_bad_id,
                "unsealed": verdict.unsealed,
                "problem": verdict.problem,
                "head": verdict.head,
                "lost": verdict.lost,
            }
            self.stdout.write(json.dumps(answer))
        elif verdict.ok:
            self.stdout.write(
                f"audit trail intact: {verdict.rows} entries sealed, {verdict.unsealed} waiting,"
                f" head {verdict.head}"
            )
            if verdict.lost:
                self.stdout.write(f"{verdict.lost} seals were lost with a restore and are known to be")
        else:
            self.stdout.write(f"audit trail BROKEN at entry {verdict.first_bad_id}: {verdict.problem}")
        if not verdict.ok:
            raise SystemExit(1)
