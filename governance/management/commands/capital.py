"""`manage.py capital`: run the allocator now, or show what it decided last."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.selectors.capital import allocation_members, allocation_queryset, run_members, run_queryset
from governance.services.capital import capital_run
from nautilus_site.common.errors import ApplicationError


class Command(BaseCommand):
    help = (
        "Decide about capital by the policy in force, or show the last decision with every reason. "
        "Example: manage.py capital show --json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["run", "show"])
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "run":
            try:
                made = capital_run(trigger="manage.py capital")
            except ApplicationError as error:
                raise CommandError(f"{error.code}: {error.message}") from None
            if made is None:
                raise CommandError("no capital policy is in force, or a run is on its way")
        run = run_queryset().first()
        if run is None:
            raise CommandError("the allocator has not run yet")
        rows = [allocation_members(row) for row in allocation_queryset().filter(run=run).order_by("strategy")]
        if options["json"]:
            self.stdout.write(json.dumps({**run_members(run), "allocations": rows}))
        else:
            self.stdout.write(f"{run}: {run.explanation}")
            for row in rows:
                self.stdout.write(
                    f"  {row['strategy']}: {row['before']} -> {row['amount']} ({row['rule']}) {row['reason']}"
                )
        if run.outcome == run.Outcome.REFUSED:
            raise CommandError("refused")
