"""`manage.py demo_model`: a regime model for the demo, from the exchange's bars to requests a risk officer approves."""

from __future__ import annotations

import json
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlregistry.models import TrainingRun
from mlregistry.services.demo import (
    STRATEGY,
    demo_bars_fetch,
    demo_model_requests,
    demo_people,
    demo_training_request,
    demo_version,
)
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from trading.domain.errors import DomainError

_LOOK_S = 1.0


class Command(BaseCommand):
    help = (
        "Train a regime model on the paper exchange's own minutes and ask for it, and for a strategy that follows it, "
        "to trade: in the names of the demo's trader and model owner. A risk officer approves on /approvals/. Safe "
        "to repeat. Example: manage.py demo_model"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--timeout", type=float, default=900.0, metavar="S", help="for the training (900)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.BINANCE_ENV != "local":
            raise CommandError("the demo exists only with BINANCE_ENV=local")
        say = (lambda text: None) if options["json"] else self.stdout.write
        try:
            trader, model_owner = demo_people()
            version = demo_version()
            if version is None:
                say(f"{demo_bars_fetch()} minutes of history are stored")
                self._train(model_owner, options["timeout"], say)
                version = demo_version()
            if version is None:
                raise CommandError("the training was over, and no version of it is registered")
            requests = demo_model_requests(version, trader=trader, model_owner=model_owner)
        except (ApplicationError, DomainError, OSError) as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "model": str(version),
                        "strategy": STRATEGY,
                        "requests": [str(row.pk) for row in requests],
                    }
                )
            )
            return
        for row in requests:
            say(f"{row.kind} of {row.target} waits for a risk officer: /approvals/")
        if not requests:
            say(f"{STRATEGY} follows {version} and is switched on")

    def _train(self, model_owner: User, timeout_s: float, say: Any) -> None:
        run, seen = demo_training_request(requester=model_owner), ""
        deadline = time.monotonic() + timeout_s
        while run.state in (TrainingRun.State.QUEUED, TrainingRun.State.RUNNING):
            if time.monotonic() > deadline:
                raise CommandError(
                    f"the training is {run.state} after {timeout_s:g} s; follow it on /models/"
                )
            if seen != run.state:
                seen = run.state
                say(f"training: {seen}")
            time.sleep(_LOOK_S)
            run.refresh_from_db()
        if run.state != TrainingRun.State.DONE:
            raise CommandError(f"the training ended as {run.state}: {run.error}")
