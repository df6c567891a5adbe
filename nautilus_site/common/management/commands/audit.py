"""The audit trail from a shell: verify it, check a signed export of it, show the key that signs."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nautilus_site.common.errors import Conflict
from nautilus_site.common.services.audit_bundles import BundleFault, bundle_check
from nautilus_site.common.services.audit_losses import audit_folder, audit_verified_now
from nautilus_site.common.services.audit_signing import SigningKeyUnusable, public_key, signer_there


class Command(BaseCommand):
    help = (
        "Recompute the hash chain of the audit trail and compare it with what is noted and signed outside the "
        "database (verify), check a signed export from its file alone (verify-export), show the public key (key). "
        "Example: manage.py audit verify --json. Exit 1 when something was changed, removed or put in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="verify | verify-export | key")
        verify = actions.add_parser("verify", help="check every entry against the chain")
        verify.add_argument("--json", action="store_true", help="print one JSON object")
        export = actions.add_parser("verify-export", help="check a signed export; asks no database")
        export.add_argument("file", type=Path)
        export.add_argument(
            "--key", help="the public key it must be signed with; this installation's unless given"
        )
        actions.add_parser("key", help="print the public key that checks exports and head lines")

    def handle(self, *args: Any, **options: Any) -> None:
        {"verify": self._verify, "verify-export": self._verify_export, "key": self._key}[options["action"]](
            options
        )

    def _verify(self, options: dict[str, Any]) -> None:
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
            where = f" at entry {verdict.first_bad_id}" if verdict.first_bad_id else ""
            self.stdout.write(f"audit trail BROKEN{where}: {verdict.problem}")
        if not options["json"]:
            self.stdout.writelines(verdict.accepted)
        if not verdict.ok:
            raise SystemExit(1)

    def _verify_export(self, options: dict[str, Any]) -> None:
        key = options["key"] or public_key(audit_folder())
        if not key:
            raise CommandError("this installation has no signing.pub: give the public key with --key")
        try:
            with options["file"].open("rb") as file:
                found = bundle_check(file, key.strip().lower())
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from None
        if isinstance(found, BundleFault):
            self.stdout.write(f"the export does NOT hold: line {found.line}: {found.problem}")
            raise SystemExit(1)
        self.stdout.write(
            f"the export holds: {found.entries} entries, exported by {found.head['by']} at {found.head['at']},"
            f" newest seal {found.head['seal']}, {found.head['head']}"
        )

    def _key(self, options: dict[str, Any]) -> None:
        try:
            key, signer = public_key(audit_folder()), signer_there(audit_folder())
        except (OSError, SigningKeyUnusable) as error:
            raise CommandError(f"the signing key cannot be used: {error}") from None
        if key is None and signer is not None:
            key = signer.public_key
        if key is None:
            raise CommandError("there is none on this host: the relay makes it with its first seal")
        self.stdout.write(key)
