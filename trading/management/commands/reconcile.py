import json
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.models import Account
from trading.services.reconcile import account_reconcile, sweeps_restart
from trading.services.venues import execution_venue
from universe.services import market_data_of


class Command(BaseCommand):
    help = "Compare our books with the exchange now. Example: manage.py reconcile --account paper-spot"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", help="one account; all by default")
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--restart",
            action="store_true",
            help="ask nothing now: every account starts with S0 and trades only when that is clean",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["restart"]:
            sweeps_restart()
            return
        accounts = Account.objects.select_related("venue").filter(is_active=True)
        if options["account"]:
            accounts = accounts.filter(name=options["account"])
            if not accounts:
                raise CommandError(f"no account is called {options['account']!r}")
        bad = []
        for account in accounts:
            run = account_reconcile(
                account_id=account.pk,
                venue=execution_venue(account),
                trigger="manual",
                market=partial(market_data_of, account.market),
            )
            outcome = run.outcome if run else "busy"
            report = run.report if run else {}
            line = {"account": account.name, "outcome": outcome, **report}
            self.stdout.write(json.dumps(line) if options["json"] else f"{account.name}: {outcome} {report}")
            if outcome in ("divergent", "failed"):
                bad.append(account.name)
        if bad:
            raise CommandError(f"not clean: {', '.join(bad)}")
