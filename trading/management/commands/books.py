"""`manage.py books`: rebuild the books from their facts and compare, write a snapshot of them down, or export them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.clock import now
from trading.models import Account
from trading.selectors.exports import EXPORTS, export_pages
from trading.services.books.mirror import mirror_verify
from trading.services.books.snapshots import snapshot_take
from trading.services.books.verify import books_verify


class Command(BaseCommand):
    """Verify or snapshot the books.

    manage.py books verify --account paper-spot --full
    """

    help = (
        "verify: fold positions and owners from fills, sum balances from the ledger, and compare; then compare the "
        "mirror of the events with the database; exit 1 on any difference. snapshot: write the books down with a hash. "
        "export: fills or the ledger as CSV. Example: manage.py books verify --full --json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["verify", "snapshot", "export"])
        parser.add_argument("--account", help="only this account; all opened ones otherwise")
        parser.add_argument(
            "--full", action="store_true", help="from the beginning, not from the newest snapshot"
        )
        parser.add_argument(
            "--mirror",
            metavar="DIR",
            help="compare this mirror of the events too; $NAUTILUS_HOME/events unless one account is named",
        )
        parser.add_argument("--table", choices=sorted(EXPORTS), default="ledger", help="what to export")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = Account.objects.filter(opened_at__isnull=False).order_by("name")
        if options["account"]:
            accounts = accounts.filter(name=options["account"])
            if not accounts:
                raise CommandError(f"no opened account is called {options['account']}")
        if options["action"] == "export":
            for page in export_pages(options["table"], account=options["account"], until=now()):
                self.stdout.write(page, ending="")
            return
        if options["action"] == "snapshot":
            for account in accounts:
                row = snapshot_take(account)
                self._say(options, {"account": account.name, "snapshot": row.pk, "digest": row.digest})
            return
        differing = 0
        for account in accounts:
            found = books_verify(account, full=options["full"])
            differing += len(found.differences)
            self._say(options, found.members())
        mirror = Path(options["mirror"] or Path(settings.NAUTILUS_HOME) / "events")
        if options["mirror"] or (mirror.is_dir() and not options["account"]):
            if not mirror.is_dir():
                raise CommandError(f"{mirror} is no directory")
            compared = mirror_verify(mirror)
            differing += compared.count
            self._say_mirror(options, compared.members())
        if differing:
            raise CommandError(f"{differing} differences", returncode=1)

    def _say_mirror(self, options: dict[str, Any], members: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(members, separators=(",", ":")))
            return
        verdict = "equal" if members["ok"] else f"{members['count']} differences"
        self.stdout.write(
            f"mirror: {verdict}; {members['files']} files, {members['lines']} lines, {members['fills']} fills, "
            f"{members['behind']} events not mirrored yet"
        )
        for entry in members["differences"]:
            place = f"{entry['file']} at byte {entry['offset']}: " if "file" in entry else ""
            self.stdout.write(f"  {entry['what']}: {place}{entry['detail']}")

    def _say(self, options: dict[str, Any], members: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(members, separators=(",", ":")))
            return
        if "ok" not in members:
            self.stdout.write(f"{members['account']}: snapshot {members['snapshot']} {members['digest']}")
            return
        verdict = "equal" if members["ok"] else f"{len(members['differences'])} differences"
        start = f"snapshot {members['snapshot']}" if members["snapshot"] else "the beginning"
        self.stdout.write(
            f"{members['account']}: {verdict}; {members['positions']} positions, {members['ledger_entries']} ledger "
            f"entries since {start}, {members['seconds']} s"
        )
        for entry in members["differences"]:
            self.stdout.write(f"  {entry['what']}: kept {entry['kept']}, rebuilt {entry['rebuilt']}")
        if members["corrupt_snapshots"]:
            self.stdout.write(f"  {members['corrupt_snapshots']} snapshots are corrupt and were passed over")
