"""From a terminal: what served when, a study, more time for a canary, how often a filter is right."""

from __future__ import annotations

import json
import sys
import time
from argparse import _SubParsersAction
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlregistry.domain.recipes import MODELS
from mlregistry.management.named import counts, moment, person_of, version_named, version_of
from mlregistry.models import Canary
from mlregistry.selectors.studies import study_detail, study_get
from mlregistry.selectors.truth import MOST, truth_accuracy
from mlregistry.selectors.versions import canaries_at, champions_at, serving_members
from mlregistry.services.extensions import extension_request
from mlregistry.services.training import study_request
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.domain.values import split_symbol
from trading.selectors.notation import utc_text

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

FOLLOW_S = 1.0


class Asking:
    """Actions of `manage.py models` that change no stage."""

    stdout: OutputWrapper

    def add_asking(self, actions: _SubParsersAction[Any]) -> None:
        """Declare them."""
        serving = actions.add_parser("serving", help="what was in force at a moment")
        serving.add_argument(
            "--at", type=moment, metavar="TIME", help="ISO 8601, UTC unless said; default now"
        )
        serving.add_argument("--json", action="store_true")
        study = actions.add_parser("study", help="train every combination of symbols, states and seeds")
        study.add_argument("kind", choices=tuple(MODELS), metavar="MODEL")
        study.add_argument("--symbols", required=True, type=lambda text: text.split(","), metavar="A,B")
        study.add_argument("--market", choices=("spot", "usdm"), default="spot")
        study.add_argument("--interval", required=True)
        study.add_argument(
            "--states", type=counts, default=[None], metavar="2,3", help="or auto (the default)"
        )
        study.add_argument("--seeds", type=counts, default=[0], metavar="0,1")
        study.add_argument("--start", type=moment, help="first open time")
        study.add_argument("--end", type=moment, help="last open time")
        study.add_argument(
            "--features", type=lambda text: text.split(","), metavar="A,B", help="default: the model's own"
        )
        study.add_argument("--requester", required=True, metavar="USER")
        study.add_argument("--no-wait", action="store_true", help="queue it and return")
        study.add_argument("--json", action="store_true")
        extend = actions.add_parser("extend", help="ask for more time for a canary that is not decided")
        extend.add_argument("model", type=version_named, metavar="FAMILY@N")
        extend.add_argument("--more", required=True, type=float, metavar="DAYS")
        extend.add_argument("--requester", required=True, metavar="USER")
        extend.add_argument("--reason", required=True)
        truth = actions.add_parser(
            "truth", help="how often its filter names the paper exchange's true regime"
        )
        truth.add_argument("model", type=version_named, metavar="FAMILY@N")
        truth.add_argument("--bars", type=int, default=MOST, help=f"the newest so many (default {MOST})")
        truth.add_argument("--json", action="store_true")

    def _serving(self, options: dict[str, Any]) -> None:
        at = options["at"] or now()
        told: dict[str, Any] = {
            "at": utc_text(at),
            "champions": champions_at(at),
            "canaries": canaries_at(at),
            "workers": serving_members() if options["at"] is None else [],
        }
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        for stage, word in (("champions", "champion"), ("canaries", "canary")):
            for one in told[stage]:
                approval = f", approval {one['approval']}" if one["approval"] else ""
                by = f"{one['actor']}{approval}: {one['reason']}"
                self.stdout.write(
                    f"{word:9} {one['model']}@{one['version']}"
                    f"  {one['digest'][:12]}  since {one['since']}  {by}"
                )
        if not told["champions"]:
            self.stdout.write(f"no model was in force at {told['at']}")
        for row in told["workers"]:
            self.stdout.write(
                f"worker    {row['worker']}  {row['strategy']} decides with {row['model']}@{row['version']}"
                f"  {row['digest'][:12]}  since {row['since']}, last {row['beat_at']}"
            )

    def _study(self, options: dict[str, Any]) -> None:
        models = []
        for text in options["symbols"]:
            try:
                symbol, market = split_symbol(text)
            except ValueError as error:
                raise ApplicationError("UNKNOWN_SYMBOL", str(error)) from None
            models.append(
                {
                    "model": options["kind"],
                    "symbol": symbol,
                    "market": market.value if market else options["market"],
                    "interval": options["interval"],
                    "features": options["features"],
                    **{n: options[n].isoformat() if options[n] else None for n in ("start", "end")},
                }
            )
        if None in options["seeds"]:
            raise ApplicationError("INVALID_TRAINING", "seeds are numbers")
        study = study_request(
            models=models,
            states=options["states"],
            seeds=options["seeds"],
            requester=person_of(options["requester"]),
        )
        told = study_detail(study_get(study.uid))
        if not options["no_wait"]:
            told = self._followed(lambda: study_detail(study_get(study.uid)), quiet=options["json"])
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(f"study {told['id']}: {told['ended']} of {told['runs']} runs are over")
            for one in told["results"]:
                version = f"version {one['version']}" if one["version"] else ""
                bic = "" if one["bic"] is None else f"BIC {one['bic']:.1f}"
                self.stdout.write(
                    f"  {one['model']:28} states {one['states'] or 'auto'}  seed {one['seed']}"
                    f"  {one['state']:8} {version}  {bic}{one['error']}"
                )
        if told["state"] == "done" and told["by_state"].get("done", 0) < told["runs"]:
            sys.exit(1)

    def _followed(self, told: Callable[[], dict[str, Any]], *, quiet: bool) -> dict[str, Any]:
        """Look once a second until it is over; workers carry it out."""
        seen = -1
        while (found := told())["state"] != "done":
            if not quiet and found["ended"] != seen:
                seen = found["ended"]
                self.stdout.write(
                    f"{seen} of {found['runs']} runs are over, {found['progress']:.0%} of the work"
                )
            time.sleep(FOLLOW_S)
        return found

    def _extend(self, options: dict[str, Any]) -> None:
        version = version_of(options["model"])
        canary = Canary.objects.filter(version=version).order_by("-id").first()
        if canary is None:
            raise ApplicationError("UNKNOWN_CANARY", f"{version} was never a canary")
        request = extension_request(
            canary=canary,
            more_s=options["more"] * 86_400,
            reason=options["reason"],
            requester=person_of(options["requester"]),
        )
        self.stdout.write(
            f"request {request.pk} waits for a risk officer, until {request.expires_at:%Y-%m-%d %H:%M}"
        )

    def _truth(self, options: dict[str, Any]) -> None:
        if not 1 <= options["bars"] <= MOST:
            raise ApplicationError("INVALID_VALUE", f"expected 1 to {MOST} bars, was {options['bars']}")
        told = truth_accuracy(version_of(options["model"]), bars=options["bars"])
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(
            f"{told['model']}@{told['version']}: {told['rows']} bars up to {told['to_at']}\n"
            f"named rightly {told['accuracy']:.3f}, always the commonest {told['always']:.3f}, "
            f"mean probability of the right state {told['probability']:.3f}"
        )
        for regime, named_in in told["confusion"].items():
            named = "  ".join(f"{label} {count}" for label, count in named_in.items())
            self.stdout.write(
                f"  {regime:12} is {told['matched'][regime]:10} right {told['recall'][regime]:.3f}   {named}"
            )
