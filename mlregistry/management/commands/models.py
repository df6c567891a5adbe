"""`manage.py models`: the registry from a terminal."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlregistry.domain.stages import Stage
from mlregistry.management.asking import Asking
from mlregistry.management.named import member, person_of, rule, version_named, version_of
from mlregistry.models import GateVerdict, ModelFamily, ModelVersion
from mlregistry.selectors.comparison import comparison
from mlregistry.selectors.verdicts import verdict_get, verdict_members
from mlregistry.selectors.versions import version_detail, version_members, version_queryset
from mlregistry.services.artefacts import artefact_verify
from mlregistry.services.autopromotion import autopromote
from mlregistry.services.envelopes import envelope_close, envelope_request, family_get
from mlregistry.services.exchange import version_export, version_import
from mlregistry.services.judging import judge_claim, judge_execute, judge_request
from mlregistry.services.register import version_note
from mlregistry.services.retention import KEEP, OLDER_THAN_DAYS, artefacts_prune
from mlregistry.services.signs_of_life import signs_of_life
from mlregistry.services.stages import promotion_request, rollback, version_move
from nautilus_site.common.errors import ApplicationError, Conflict
from trading.domain.errors import DomainError

MEMORY_LIMIT = 4 << 30

EXAMPLES = """examples:
  manage.py models list --stage champion
  manage.py models show hmm-btcusdt-spot-1h@3 --json
  manage.py models judge hmm-btcusdt-spot-1h@3 --folds 5
  manage.py models promote hmm-btcusdt-spot-1h@3 --stage shadow --requester model_owner --reason "it passed the gate"
  manage.py models promote hmm-btcusdt-spot-1h@3 --stage canary --requester model_owner --reason "better held-out score"
  manage.py models rollback hmm-btcusdt-spot-1h --requester risk --reason "losing since the release"
  manage.py models envelope hmm-btcusdt-spot-1h --set canary=true --set most_capital=500 \\
    --set until=2027-01-01T00:00:00Z --requester model_owner --reason "small canaries by themselves"
  manage.py models autopromote --json
  manage.py models compare hmm-btcusdt-spot-1h@3 hmm-btcusdt-spot-1h@4
  manage.py models export hmm-btcusdt-spot-1h@3 model.zip --requester model_owner
  manage.py models import model.zip --requester model_owner --reason "trained on the big machine"
  manage.py models note hmm-btcusdt-spot-1h@3 "too few turbulent weeks" --requester model_owner
  manage.py models prune --older-than 90 --keep 20 --dry-run
  manage.py models serving --at 2026-11-01T12:00:00Z
  manage.py models study hmm --symbols BTCUSDT,ETHUSDT --interval 1h --states 2,3 --seeds 0,1,2 --requester model_owner
  manage.py models truth hmm-btcusdt-spot-1m@3 --bars 2000
  manage.py models verify

judge walks a version and its family's champion over the stored bars and writes the gate's verdict; promote makes
a version past the gate a shadow at once; for canary and champion it files a request that somebody else approves, and
needs a fresh passing verdict, for champion a canary that won, or --override; rollback acts at once.
envelope asks for what may happen by itself, and closes it at once; autopromote takes each family's next step inside it.
serving says what was in force at a moment, now unless said, and which worker decides with what; study queues a run of
every combination, which the workers share, and follows it until the last one is over.
import registers a candidate, whatever it was elsewhere; prune lets go of the bytes of versions that never traded.
exit codes: 0 done or passed, 1 refused, not passed or a model that was altered, 2 usage"""


class Command(Asking, BaseCommand):
    help = "List, show, promote, roll back and verify registered models."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="every version, newest first")
        listing.add_argument("--stage", choices=[stage.value for stage in Stage])
        listing.add_argument("--json", action="store_true")
        show = actions.add_parser("show", help="one version with lineage and history")
        show.add_argument("model", type=version_named, metavar="FAMILY@N")
        show.add_argument("--json", action="store_true")
        promote = actions.add_parser("promote", help="ask for a version to trade; shadow is at once")
        promote.add_argument("model", type=version_named, metavar="FAMILY@N")
        promote.add_argument(
            "--stage",
            choices=[Stage.SHADOW.value, Stage.CANARY.value, Stage.CHAMPION.value],
            default="champion",
        )
        back = actions.add_parser("rollback", help="put the previous champion back, at once")
        back.add_argument("family", metavar="FAMILY")
        promote.add_argument(
            "--override",
            action="store_true",
            help="without a passing verdict or a canary that won; who approves is told",
        )
        promote.add_argument(
            "--rule", action="append", default=[], type=rule, metavar="NAME=NUMBER", help="of a canary"
        )
        judging = actions.add_parser("judge", help="walk a version beside the champion and say the verdict")
        named = judging.add_mutually_exclusive_group(required=True)
        named.add_argument("model", type=version_named, nargs="?", metavar="FAMILY@N")
        named.add_argument("--run", metavar="ID", help="carry out a queued judgement; workers start these")
        judging.add_argument("--folds", type=int, default=5, help="about how many tests (default 5)")
        judging.add_argument("--bars", type=int, help="only the newest so many bars")
        judging.add_argument("--train", type=int, help="bars of the first training part (default half)")
        judging.add_argument("--json", action="store_true")
        for one in (promote, back):
            one.add_argument("--requester", required=True, metavar="USER")
            one.add_argument("--reason", required=True)
        envelope = actions.add_parser("envelope", help="ask for what may happen by itself, or close it")
        envelope.add_argument("family", metavar="FAMILY")
        envelope.add_argument("--set", action="append", default=[], type=member, metavar="NAME=VALUE")
        envelope.add_argument("--close", action="store_true", help="at once: nothing by itself any more")
        envelope.add_argument("--requester", required=True, metavar="USER")
        envelope.add_argument("--reason", required=True)
        auto = actions.add_parser("autopromote", help="the next step of each family inside its envelope")
        auto.add_argument("--family", metavar="FAMILY")
        auto.add_argument("--json", action="store_true")
        compare = actions.add_parser("compare", help="two versions: recipe, states, figures, verdicts")
        for name in ("one", "other"):
            compare.add_argument(name, type=version_named, metavar="FAMILY@N")
        compare.add_argument("--json", action="store_true")
        out = actions.add_parser("export", help="a version's bytes and record in one file")
        out.add_argument("model", type=version_named, metavar="FAMILY@N")
        out.add_argument("file", type=Path)
        out.add_argument("--requester", required=True, metavar="USER")
        into = actions.add_parser("import", help="register the model in a file as a candidate")
        into.add_argument("file", type=Path)
        into.add_argument("--requester", required=True, metavar="USER")
        into.add_argument("--reason", required=True)
        note = actions.add_parser("note", help="write down what people know of a version")
        note.add_argument("model", type=version_named, metavar="FAMILY@N")
        note.add_argument("text", help="replaces what stood there; empty text takes it away")
        note.add_argument("--requester", required=True, metavar="USER")
        prune = actions.add_parser("prune", help="let go of the bytes of versions that never traded")
        prune.add_argument("--older-than", type=int, default=OLDER_THAN_DAYS, metavar="DAYS")
        prune.add_argument("--keep", type=int, default=KEEP, help="of each family, the newest so many")
        prune.add_argument("--dry-run", action="store_true")
        prune.add_argument("--json", action="store_true")
        self.add_asking(actions)
        verify = actions.add_parser("verify", help="check the bytes of every version")
        verify.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except (ApplicationError, DomainError) as error:
            self.stderr.write(f"refused: {error}")
            sys.exit(1)

    def _list(self, options: dict[str, Any]) -> None:
        rows = version_queryset().order_by("-id")
        if options["stage"]:
            rows = rows.filter(stage=options["stage"])
        if options["json"]:
            self.stdout.write(json.dumps([version_members(row) for row in rows]))
            return
        for row in rows:
            self.stdout.write(
                f"{row!s:40} {row.stage:10} {row.digest[:12]}  trained to {row.dataset.end_at:%Y-%m-%d}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        version = version_of(options["model"])
        detail = version_detail(version)
        if options["json"]:
            self.stdout.write(json.dumps(detail))
            return
        self.stdout.write(f"{version} ({version.stage})\ndigest {version.digest}")
        self.stdout.write(
            f"{version.dataset}: {version.dataset.bars} bars, sha256 {version.dataset.bars_sha256[:12]}"
        )
        if detail["notes"]:
            self.stdout.write(f"notes: {detail['notes']}")
        for change in detail["stages"]:
            self.stdout.write(f"  {change['at']}  {change['to']:10} {change['actor']}: {change['reason']}")

    def _promote(self, options: dict[str, Any]) -> None:
        version, stage = version_of(options["model"]), Stage(options["stage"])
        if stage is Stage.SHADOW and not options["override"]:
            moved = version_move(
                version_id=version.pk,
                stage=stage,
                actor=person_of(options["requester"]),
                reason=options["reason"],
            )
            self.stdout.write(f"{moved} is a shadow now")
            return
        request = promotion_request(
            version=version,
            stage=stage,
            reason=options["reason"],
            requester=person_of(options["requester"]),
            override=options["override"],
            canary=dict(options["rule"]),
        )
        self.stdout.write(
            f"request {request.pk} waits for a risk officer, until {request.expires_at:%Y-%m-%d %H:%M}"
        )

    def _judge(self, options: dict[str, Any]) -> None:
        if options["run"]:
            verdict = verdict_get(options["run"])
            bound_child()
        else:
            asked = judge_request(
                version=version_of(options["model"]),
                requester="manage.py models judge",
                **{name: options[name] for name in ("folds", "bars", "train")},
            )
            claimed = judge_claim(slots=sys.maxsize, only=asked)
            if claimed is None:
                raise Conflict("BEING_JUDGED", "a worker took it already; follow it on /models/")
            verdict = claimed
        attempt = GateVerdict.objects.filter(
            pk=verdict.pk, state=GateVerdict.State.RUNNING, attempts=verdict.attempts
        )
        with signs_of_life(attempt):
            verdict = judge_execute(verdict_id=verdict.pk)
        if options["json"]:
            self.stdout.write(json.dumps(verdict_members(verdict_get(verdict.uid))))
        elif verdict.state != GateVerdict.State.DONE:
            self.stderr.write(f"{verdict.state}: {verdict.error}")
        else:
            for one in verdict.criteria:
                measured = "not measurable" if one["measured"] is None else f"{one['measured']:.6g}"
                self.stdout.write(
                    f"{'pass' if one['passed'] else 'FAIL'}  {one['name']:20} {measured:>14} "
                    f"{'>=' if one['at_least'] else '<='} {one['limit']:<10.6g} {one['says']}"
                )
            self.stdout.write(f"{verdict.version}: {'passed' if verdict.passed else 'did not pass'}")
        if not verdict.passed:
            sys.exit(1)

    def _envelope(self, options: dict[str, Any]) -> None:
        family, person = family_get(options["family"]), person_of(options["requester"])
        if options["close"]:
            envelope_close(family=family, actor=person, reason=options["reason"])
            self.stdout.write(f"{family.name}: nothing is promoted by itself any more")
            return
        request = envelope_request(
            family=family, envelope=dict(options["set"]), reason=options["reason"], requester=person
        )
        self.stdout.write(f"request {request.pk} waits for a risk officer")

    def _autopromote(self, options: dict[str, Any]) -> None:
        family = family_get(options["family"]) if options["family"] else None
        taken = autopromote(family=family)
        if options["json"]:
            self.stdout.write(json.dumps([one.members() for one in taken]))
            return
        for one in taken:
            self.stdout.write(f"{one.version:40} {one.did:9} {one.why}")
        if not taken:
            self.stdout.write("no family has an envelope")

    def _compare(self, options: dict[str, Any]) -> None:
        told = comparison(version_of(options["one"]), version_of(options["other"]))
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        for name, pair in {**told["recipe"], **told["figures"]}.items():
            self.stdout.write(f"{name:32} {pair[0]!s:>24} {pair[1]!s:>24}")
        for state in told["states"] or ():
            word = "the same regime" if state["same"] else "another regime"
            self.stdout.write(f"{state['state']} is {state['other_state']}: {state['nats']:.3f} nats, {word}")
        if told["states"] is None:
            self.stdout.write(f"states are not matched: {told['states_unmatched']}")

    def _export(self, options: dict[str, Any]) -> None:
        version = version_of(options["model"])
        path = version_export(version=version, path=options["file"], actor=person_of(options["requester"]))
        self.stdout.write(f"{version} {version.digest[:12]} is in {path}")

    def _import(self, options: dict[str, Any]) -> None:
        version = version_import(
            path=options["file"], actor=person_of(options["requester"]), reason=options["reason"]
        )
        self.stdout.write(f"{version} {version.digest[:12]} is a {version.stage}")

    def _note(self, options: dict[str, Any]) -> None:
        noted = version_note(
            version=version_of(options["model"]), notes=options["text"], actor=person_of(options["requester"])
        )
        self.stdout.write(f"{noted}: {noted.notes or 'no notes'}")

    def _prune(self, options: dict[str, Any]) -> None:
        pruned = artefacts_prune(
            older_than_days=options["older_than"],
            keep=options["keep"],
            actor="manage.py models prune",
            dry_run=options["dry_run"],
        )
        if options["json"]:
            self.stdout.write(json.dumps([one.members() for one in pruned]))
            return
        word = "would go" if options["dry_run"] else "went"
        for one in pruned:
            self.stdout.write(f"{one.version:40} {one.digest[:12]} {one.size} bytes {word}")
        if not pruned:
            self.stdout.write("nothing to let go")

    def _rollback(self, options: dict[str, Any]) -> None:
        family = ModelFamily.objects.filter(name=options["family"]).first()
        if family is None:
            raise ApplicationError("UNKNOWN_MODEL", f"no family is called {options['family']!r}")
        version = rollback(family=family, actor=person_of(options["requester"]), reason=options["reason"])
        self.stdout.write(f"{version} is in force again")

    def _verify(self, options: dict[str, Any]) -> None:
        results = []
        kept = ModelVersion.objects.filter(artefact__pruned_at=None)
        for version in kept.select_related("family").order_by("pk"):
            try:
                artefact_verify(version.digest)
                results.append({"model": str(version), "digest": version.digest, "ok": True, "error": None})
            except DomainError as error:
                results.append(
                    {"model": str(version), "digest": version.digest, "ok": False, "error": str(error)}
                )
        if options["json"]:
            self.stdout.write(json.dumps(results))
        else:
            for result in results:
                self.stdout.write(
                    f"{'ok     ' if result['ok'] else 'ALTERED'} {result['model']} {result['error'] or ''}"
                )
        if not all(result["ok"] for result in results):
            sys.exit(1)


def bound_child() -> None:
    """A job's process gives way to everything else, and may not take the machine's memory."""
    os.nice(10)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, hard))
