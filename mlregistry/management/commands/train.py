"""`manage.py train`: fit a regime model to stored bars and keep it as an artefact."""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from mlregistry.adapters.artefact_store import ArtefactStore
from mlregistry.domain.recipes import (
    ALIASES,
    HIERARCHICAL,
    MODELS,
    MOST_STATES,
    HierarchicalRecipe,
    HmmRecipe,
)
from mlregistry.domain.study import Progress, Step, TrainedModel, selection_members, train_hmm
from mlregistry.domain.two_clock_study import train_hierarchical
from mlregistry.models import TrainingRun
from mlregistry.selectors.training_bars import training_bars
from mlregistry.services.register import version_register
from mlregistry.services.signs_of_life import signs_of_life
from mlregistry.services.training import training_execute
from nautilus_site.common.errors import ApplicationError
from trading.domain.clock import interval_ns, ns_to_datetime
from trading.domain.errors import DomainError
from trading.domain.regime.artefact import EncodedArtefact, encode
from trading.domain.regime.compiled import use_cache
from trading.domain.regime.features import FEATURES, FeatureSpec
from trading.domain.regime.gaussian import COVARIANCES
from trading.domain.regime.scaler import Scaling
from trading.domain.values import split_symbol
from universe.management.progress import ProgressBar

EXAMPLES = """models:
  hmm               Gaussian HMM over closed bars, served by the forward filter
  hierarchical_hmm  two-clock HMM: a slow macro chain chooses the transitions of a fast micro chain

examples:
  manage.py train hmm --symbol BTCUSDT --interval 1h --states 3
  manage.py train hmm --symbol BTCUSDT --interval 1h --states auto --end 2023-01-01 --json
  manage.py train hierarchical_hmm --symbol BTCUSDT --interval 1h --states 2 --micro-states 3 --slow-interval 1d

The model is written below NAUTILUS_HOME/models, in a folder named by its digest. The same bars, options and
seed give the same digest. exit codes: 0 trained, 1 refused or failed and nothing was written, 2 usage"""

_TRACE_SHOWN = 12
MEMORY_LIMIT = 4 * 2**30


class Command(BaseCommand):
    help = "Train a regime model on stored bars."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "model",
            type=_model,
            choices=tuple(MODELS),
            metavar="MODEL",
            nargs="?",
            help=" or ".join(MODELS),
        )
        parser.add_argument(
            "--run", metavar="ID", help="carry out a queued training run; workers start these"
        )
        parser.add_argument("--symbol", type=_symbol)
        parser.add_argument("--interval", type=_interval)
        parser.add_argument("--market", choices=("spot", "usdm"), default="spot")
        parser.add_argument(
            "--states",
            type=_states,
            default=None,
            metavar="K",
            help=f"1 to {MOST_STATES}, or auto (the default)",
        )
        parser.add_argument("--start", type=_time, help="first open time, e.g. 2023-01-01 (UTC)")
        parser.add_argument("--end", type=_time, help="last open time")
        parser.add_argument(
            "--features", type=_features, help=f"comma-separated, of {', '.join(FEATURES)}", metavar="NAMES"
        )
        parser.add_argument("--volatility-window", type=int, metavar="BARS")
        parser.add_argument("--volume-window", type=int, metavar="BARS")
        parser.add_argument("--covariance", choices=COVARIANCES)
        parser.add_argument("--scaling", choices=("standard", "robust"), default="standard")
        parser.add_argument("--restarts", type=int, default=3)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--kappa", type=float, default=0.0, help="sticky prior, bars' worth of staying (hmm)"
        )
        parser.add_argument(
            "--trainer", choices=("em", "hmmlearn"), default="em", help="own EM or reference (hmm)"
        )
        parser.add_argument(
            "--champion", metavar="DIGEST", help="keep this model's state names where they match (hmm)"
        )
        parser.add_argument("--micro-states", type=int, default=2, metavar="M", help="(hierarchical_hmm)")
        parser.add_argument("--slow-interval", type=_interval, default="1d", help="(hierarchical_hmm)")
        parser.add_argument(
            "--power", type=float, default=0.5, help="of the slow evidence (hierarchical_hmm)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        use_cache(Path(settings.NAUTILUS_HOME) / "cache" / "numba")
        if options["run"]:
            self._carry_out(options["run"])
            return
        for name in ("model", "symbol", "interval"):
            if not options[name]:
                raise CommandError(f"missing {'MODEL' if name == 'model' else '--' + name}", returncode=2)
        bar = ProgressBar(f"training {options['model']} {options['symbol']} {options['interval']}")
        try:
            trained = _train(options, _reporter(bar))
            encoded = encode(trained.artefact)
            folder = ArtefactStore(Path(settings.NAUTILUS_HOME) / "models").write(encoded)
            version_register(encoded=encoded, metrics=trained.metrics(), actor="manage.py train")
        except OperationalError as error:
            bar.finish()
            self.stderr.write(
                f"not trained: the database cannot be reached; start it with `make run` ({error})"
            )
            sys.exit(1)
        except (ApplicationError, DomainError, ValueError, OSError) as error:
            bar.finish()
            self.stderr.write(f"not trained: {error}")
            sys.exit(1)
        bar.finish()
        elapsed_s = time.monotonic() - began
        if options["json"]:
            self.stdout.write(json.dumps(_members(trained, encoded, folder, elapsed_s)))
        else:
            self._show(trained, encoded, folder, elapsed_s)

    def _carry_out(self, uid: str) -> None:
        os.nice(10)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, hard))
        run = TrainingRun.objects.get(uid=uid)
        attempt = TrainingRun.objects.filter(
            pk=run.pk, state=TrainingRun.State.RUNNING, attempts=run.attempts
        )
        with signs_of_life(attempt):
            run = training_execute(run_id=run.pk)
        self.stdout.write(f"{run.state} {run.digest or run.error}")
        if run.state != TrainingRun.State.DONE:
            sys.exit(1)

    def _show(self, trained: TrainedModel, encoded: EncodedArtefact, folder: Path, elapsed_s: float) -> None:
        lineage, model = trained.artefact.lineage, trained.artefact.model
        span = [f"{ns_to_datetime(lineage[f'train_{edge}_ns']):%Y-%m-%d %H:%M}" for edge in ("start", "end")]
        self.stdout.write(
            f"{trained.name} on {lineage['symbol']} {lineage['interval']}, {lineage['rows']} rows in "
            f"{lineage['stretches']} stretches, {span[0]} to {span[1]}"
        )
        if trained.selection is not None:
            self.stdout.write("  states  held-out score/row        BIC        AIC        ICL")
            for one in trained.selection.candidates:
                chosen = "  <- chosen" if one.states == trained.selection.states else ""
                second = "  <- by BIC" if one.states == trained.selection.by_bic else ""
                self.stdout.write(
                    f"  {one.states:6d}  {one.score:18.6f}  {one.bic:9.0f}  {one.aic:9.0f}  {one.icl:9.0f}"
                    f"{chosen}{second}{'  ' + one.refusal if one.refusal else ''}"
                )
        trace = [f"{value:.3f}" for value in trained.trace]
        if len(trace) > _TRACE_SHOWN:
            half = _TRACE_SHOWN // 2
            trace = [*trace[:half], f"... {len(trace) - 2 * half} more ...", *trace[-half:]]
        self.stdout.write(f"log likelihood by iteration: {' '.join(trace)}")
        self.stdout.write(f"BIC {trained.bic:.1f}")
        if trained.bic_by_states and trained.selection is None:
            shown = [f"{k}: {'refused' if bic is None else f'{bic:.0f}'}" for k, bic in trained.bic_by_states]
            self.stdout.write(f"BIC by number of states (in sample): {', '.join(shown)}")
        for label, visits, stay in zip(model.labels, trained.visits, trained.durations, strict=True):
            self.stdout.write(
                f"  {label:12} {visits:10.1f} expected visits, stays {stay:8.1f} bars on average"
            )
        if "held_out" in lineage:
            gain = lineage["held_out"]["gain"]
            verdict = "beats" if gain > 0 else "DOES NOT BEAT"
            self.stdout.write(f"{verdict} the flat model on held-out bars by {gain:+.2f} nats per 1000 bars")
        self.stdout.write(f"digest {encoded.digest}\n{folder}\n{elapsed_s:.1f} s")


def _train(options: dict[str, Any], progress: Progress) -> TrainedModel:
    bars, source = training_bars(
        options["symbol"],
        options["interval"],
        options["market"],
        start=options["start"],
        end=options["end"],
        funding="funding" in (options["features"] or ()),
    )
    scaling = Scaling(options["scaling"])
    if options["model"] == HIERARCHICAL:
        base = HierarchicalRecipe()
        return train_hierarchical(
            bars,
            HierarchicalRecipe(
                macros=options["states"] or 2,
                micros=options["micro_states"],
                slow_interval=options["slow_interval"],
                kind=options["covariance"] or base.kind,
                features=_spec(options, base.features),
                scaling=scaling,
                power=options["power"],
                restarts=options["restarts"],
                seed=options["seed"],
            ),
            source,
            progress=progress,
        )
    champion, digest = None, ""
    if options["champion"]:
        store = ArtefactStore(Path(settings.NAUTILUS_HOME) / "models")
        digest = store.find(options["champion"])
        champion = store.read(digest)
    plain = HmmRecipe()
    recipe = HmmRecipe(
        states=options["states"],
        kind=options["covariance"] or plain.kind,
        features=_spec(options, plain.features),
        scaling=scaling,
        restarts=options["restarts"],
        seed=options["seed"],
        kappa=options["kappa"],
        trainer=options["trainer"],
    )
    return train_hmm(bars, recipe, source, champion=champion, champion_digest=digest, progress=progress)


def _spec(options: dict[str, Any], base: FeatureSpec) -> FeatureSpec:
    return FeatureSpec(
        options["features"] or base.names,
        options["volatility_window"] or base.volatility_window,
        options["volume_window"] or base.volume_window,
        base.epsilon,
    )


def _reporter(bar: ProgressBar) -> Progress:
    def report(step: Step) -> None:
        bar(step.done, step.total)

    return report


def _members(
    trained: TrainedModel, encoded: EncodedArtefact, folder: Path, elapsed_s: float
) -> dict[str, Any]:
    lineage, model = trained.artefact.lineage, trained.artefact.model
    return {
        "model": trained.name,
        "symbol": lineage["symbol"],
        "market": lineage["market"],
        "interval": lineage["interval"],
        "digest": encoded.digest,
        "path": str(folder),
        "states": lineage["states"],
        "labels": list(model.labels),
        "rows": lineage["rows"],
        "train_start": ns_to_datetime(lineage["train_start_ns"]).isoformat(),
        "train_end": ns_to_datetime(lineage["train_end_ns"]).isoformat(),
        "seed": lineage["recipe"]["seed"],
        "log_likelihood": trained.log_likelihood,
        "bic": trained.bic,
        "trace": list(trained.trace),
        "visits": list(trained.visits),
        "durations": [None if math.isinf(stay) else stay for stay in trained.durations],
        "selection": None if trained.selection is None else selection_members(trained.selection),
        "bic_by_states": [list(pair) for pair in trained.bic_by_states],
        "held_out": lineage.get("held_out"),
        "regime_map": lineage.get("regime_map"),
        "elapsed_s": round(elapsed_s, 3),
    }


def _model(text: str) -> str:
    return ALIASES.get(text, text)


def _symbol(text: str) -> str:
    try:
        return split_symbol(text)[0]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> str:
    try:
        interval_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _states(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_STATES:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_STATES} or auto, was {text!r}")
    return int(text)


def _features(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in FEATURES:
            raise argparse.ArgumentTypeError(
                f"unknown feature {name!r}; expected some of {', '.join(FEATURES)}"
            )
    return names


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, was {text!r}") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
