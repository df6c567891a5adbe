import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.hints import hints_withheld
from trading.domain.values import Level
from trading.services.controls import kill_raise, kill_wait


class Command(BaseCommand):
    help = (
        "Stop trading in a scope at once and wait for the exchange to confirm. "
        'Example: manage.py kill --scope symbol:BTCUSDT --level CANCEL --reason "odd prices"'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--scope", default="global")
        levels = [level.name for level in Level if level is not Level.ACTIVE]
        parser.add_argument("--level", default="CANCEL", choices=levels)
        parser.add_argument("--reason", required=True)
        parser.add_argument(
            "--include-stops", action="store_true", help="at CANCEL: cancel protective stops as well"
        )
        parser.add_argument(
            "--timeout", type=float, default=25.0, help="seconds to wait for the confirmation"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Watchdog and control worker look at the levels themselves, so nobody has to be told through a broker.
            with hints_withheld():
                state = kill_raise(
                    scope=options["scope"],
                    level=Level[options["level"]],
                    reason=options["reason"],
                    actor="manage.py kill",
                    include_stops=options["include_stops"],
                )
            report = kill_wait(scope=state.scope, timeout_s=options["timeout"])
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        members = {
            "scope": report.scope,
            "level": report.level.name,
            "cancel_requested": report.cancel_requested,
            "open_orders_remaining": report.open_orders_remaining,
            "confirmed": report.confirmed,
            "elapsed_s": report.elapsed_s,
        }
        if options["json"]:
            self.stdout.write(json.dumps(members))
        elif report.confirmed:
            self.stdout.write(
                f"{report.scope} is at {report.level.name}; "
                f"the exchange confirms no open order after {report.elapsed_s} s"
            )
        if not report.confirmed:
            raise CommandError(
                f"{report.scope} is at {report.level.name}, but the exchange has not confirmed yet: "
                f"{report.open_orders_remaining} open orders were last seen"
            )
