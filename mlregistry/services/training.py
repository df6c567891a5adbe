"""Training as jobs: asked for, carried out in a process of its own, followed live, canceled.

The row is the job. Whoever carries it out writes a sign of life with every progress; a run without one is taken up
again, and one that fails twice that way stays failed. The same request gives the same digest, so doing it twice is
harmless.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.db.models import Q

from mlregistry.domain.asked import asked_clean, recipe_of
from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion, TrainingRun, TrainingStudy
from mlregistry.services.register import family_ensure, version_register
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading.domain.errors import DomainError

if TYPE_CHECKING:
    from mlregistry.domain.study import Step, TrainedModel

log = structlog.get_logger(__name__)

SILENT_FOR = timedelta(seconds=60)
MAXIMUM_ATTEMPTS = 2
MAXIMUM_RUNS = 200
TELL_EVERY_S = 0.5
_UNFINISHED = (TrainingRun.State.QUEUED, TrainingRun.State.RUNNING)


class TrainingCanceled(Exception):
    """Somebody asked the running fit to stop."""


class TrainingTakenOver(Exception):
    """This attempt was silent for so long that another one was begun; what it finds counts for nothing."""


@transaction.atomic
def training_request(
    *, asked: Mapping[str, Any], requester: User | str, study: TrainingStudy | None = None
) -> TrainingRun:
    """Queue one training run.

    Raises
    ------
    ApplicationError : INVALID_TRAINING, with what no recipe takes.
    """
    try:
        values = asked_clean(asked)
    except (ValueError, KeyError) as error:
        raise ApplicationError("INVALID_TRAINING", str(error)) from None
    family = family_ensure(
        kind=values["model"], symbol=values["symbol"], market=values["market"], interval=values["interval"]
    )
    run = TrainingRun.objects.create(
        family=family,
        study=study,
        asked=values,
        requested_by=requester if isinstance(requester, User) else None,
        created_at=now(),
    )
    audit_record(action="training.requested", target=f"training:{run.uid}", actor=requester, after=values)
    enqueue_on_commit("mlregistry.tasks.training_tick", queue="training")
    return run


@transaction.atomic
def study_request(
    *,
    models: Sequence[Mapping[str, Any]],
    states: Sequence[int | None],
    seeds: Sequence[int],
    requester: User | str,
) -> TrainingStudy:
    """Queue every combination of models, numbers of states and seeds; any number of workers shares them.

    Raises
    ------
    ApplicationError : INVALID_TRAINING, none or too many combinations, or one no recipe takes.
    """
    count = len(models) * len(states) * len(seeds)
    if not 1 <= count <= MAXIMUM_RUNS:
        raise ApplicationError("INVALID_TRAINING", f"expected 1 to {MAXIMUM_RUNS} runs, were {count}")
    study = TrainingStudy.objects.create(
        asked={"models": [dict(m) for m in models], "states": list(states), "seeds": list(seeds)},
        requested_by=requester if isinstance(requester, User) else None,
        created_at=now(),
    )
    for model in models:
        for count_of_states in states:
            for seed in seeds:
                training_request(
                    asked={**model, "states": count_of_states, "seed": seed},
                    requester=requester,
                    study=study,
                )
    return study


@transaction.atomic
def training_cancel(*, run: TrainingRun, actor: User | str) -> TrainingRun:
    """Cancel a run: at once where it has not begun, within a second where it has.

    Raises
    ------
    Conflict : TRAINING_OVER.
    """
    locked = TrainingRun.objects.select_for_update(no_key=True).get(pk=run.pk)
    if locked.state not in _UNFINISHED:
        raise Conflict("TRAINING_OVER", f"the run is {locked.state} already")
    if locked.cancel_requested_at is None:
        locked.cancel_requested_at = now()
        locked.save(update_fields=["cancel_requested_at"])
        audit_record(action="training.cancel_requested", target=f"training:{locked.uid}", actor=actor)
    if locked.state == TrainingRun.State.QUEUED:
        _end(locked, TrainingRun.State.CANCELED)
    return locked


@transaction.atomic
def study_cancel(*, study: TrainingStudy, actor: User | str) -> int:
    """Cancel every run of a study that is not over. Returns how many.

    Raises
    ------
    Conflict : TRAINING_OVER.
    """
    left = list(study.runs.filter(state__in=_UNFINISHED).order_by("pk"))
    if not left:
        raise Conflict("TRAINING_OVER", "every run of the study is over already")
    for run in left:
        try:
            training_cancel(run=run, actor=actor)
        except Conflict:
            continue  # it ended meanwhile
    return len(left)


@transaction.atomic
def training_claim(*, slots: int) -> TrainingRun | None:
    """Take the next queued run, or None when there is none or `slots` are running. Lost ones are queued again."""
    lost = TrainingRun.objects.select_for_update(skip_locked=True, no_key=True).filter(
        state=TrainingRun.State.RUNNING, beat_at__lt=now() - SILENT_FOR
    )
    for run in lost:
        if run.attempts >= MAXIMUM_ATTEMPTS:
            _end(run, TrainingRun.State.FAILED, error="its process was lost every time it was tried")
        else:
            run.state = TrainingRun.State.QUEUED
            run.save(update_fields=["state"])
            log.warning("training_lost", run=str(run.uid), attempts=run.attempts)
    if TrainingRun.objects.filter(state=TrainingRun.State.RUNNING).count() >= slots:
        return None
    queued = TrainingRun.objects.select_for_update(skip_locked=True, no_key=True).filter(
        state=TrainingRun.State.QUEUED
    )
    taken = queued.order_by("pk").first()
    if taken is None:
        return None
    moment = now()
    taken.state, taken.started_at, taken.beat_at = TrainingRun.State.RUNNING, moment, moment
    taken.attempts += 1
    taken.save(update_fields=["state", "started_at", "beat_at", "attempts"])
    _tell(taken)
    return taken


def training_execute(*, run_id: int) -> TrainingRun:
    """Carry out a claimed run: fit, register the version, say how it ended. Never raises what the data did wrong."""
    run = TrainingRun.objects.select_related("family").get(pk=run_id)
    if run.state != TrainingRun.State.RUNNING:
        return run
    try:
        trained = _train(run)
    except TrainingTakenOver:
        log.warning("training_taken_over", run=str(run.uid), attempt=run.attempts)
        return run
    except TrainingCanceled:
        return _ended(run, TrainingRun.State.CANCELED)
    except (ApplicationError, DomainError, ValueError, OSError) as error:
        return _ended(run, TrainingRun.State.FAILED, error=str(error))
    return _register(run, trained)


def _train(run: TrainingRun) -> TrainedModel:
    from mlregistry.domain.recipes import HierarchicalRecipe
    from mlregistry.domain.study import train_hmm
    from mlregistry.domain.two_clock_study import train_hierarchical
    from mlregistry.selectors.training_bars import training_bars
    from mlregistry.services.artefacts import artefact_verify

    asked = run.asked
    start, end = (datetime.fromisoformat(asked[n]) if asked[n] else None for n in ("start", "end"))
    recipe = recipe_of(asked)
    bars, source = training_bars(
        asked["symbol"],
        asked["interval"],
        asked["market"],
        start=start,
        end=end,
        funding=recipe.reads_funding,
    )
    progress = _Progress(run)
    if isinstance(recipe, HierarchicalRecipe):
        return train_hierarchical(bars, recipe, source, progress=progress)
    champion = ModelVersion.objects.filter(family=run.family, stage=Stage.CHAMPION).first()
    return train_hmm(
        bars,
        recipe,
        source,
        champion=artefact_verify(champion.digest) if champion else None,
        champion_digest=champion.digest if champion else "",
        progress=progress,
    )


class _Progress:
    """Writes down how far a fit is, twice a second at most, and stops it when that was asked for."""

    def __init__(self, run: TrainingRun) -> None:
        self._run = run
        self._told_at = float("-inf")
        self._trace: list[float] = []
        self._stage: tuple[str, int] = ("", -1)

    def __call__(self, step: Step) -> None:
        if (step.stage, step.done) != self._stage:
            self._stage, self._trace = (step.stage, step.done), []
        if step.log_likelihood is not None:
            self._trace.append(step.log_likelihood)
        if time.monotonic() - self._told_at < TELL_EVERY_S:
            return
        self._told_at = time.monotonic()
        running = TrainingRun.objects.filter(
            pk=self._run.pk, state=TrainingRun.State.RUNNING, attempts=self._run.attempts
        )
        if not running.filter(cancel_requested_at=None).update(
            stage=step.stage,
            done=step.done,
            total=step.total,
            log_likelihood=self._trace[-200:],
            beat_at=now(),
        ):
            raise TrainingCanceled if running.exists() else TrainingTakenOver
        self._run.refresh_from_db()
        with transaction.atomic():
            _tell(self._run)


@transaction.atomic
def _register(run: TrainingRun, trained: TrainedModel) -> TrainingRun:
    from trading.domain.regime.artefact import encode

    encoded = encode(trained.artefact)
    locked = TrainingRun.objects.select_for_update(no_key=True).get(pk=run.pk)
    if not _still_ours(locked, run):
        return locked
    version = version_register(
        encoded=encoded,
        metrics=trained.metrics(),
        actor=run.requested_by or "training",
        run=None if ModelVersion.objects.filter(artefact_id=encoded.digest).exists() else locked,
    )
    locked.dataset, locked.digest = version.dataset, version.digest
    locked.done = locked.total = max(locked.total, 1)
    locked.log_likelihood = list(trained.trace)[-200:]
    locked.save(update_fields=["dataset", "digest", "done", "total", "log_likelihood"])
    _end(locked, TrainingRun.State.DONE)
    return locked


@transaction.atomic
def _ended(run: TrainingRun, state: str, *, error: str = "") -> TrainingRun:
    locked = TrainingRun.objects.select_for_update(no_key=True).get(pk=run.pk)
    if _still_ours(locked, run):
        _end(locked, state, error=error)
    return locked


def _still_ours(locked: TrainingRun, run: TrainingRun) -> bool:
    """Whether this attempt may still say how the run ended: it is running, and nobody else was given it since."""
    if locked.state == TrainingRun.State.RUNNING and locked.attempts == run.attempts:
        return True
    log.warning("training_taken_over", run=str(run.uid), attempt=run.attempts, state=locked.state)
    return False


def _end(run: TrainingRun, state: str, *, error: str = "") -> None:
    run.state, run.error, run.finished_at = state, error[:2000], now()
    run.save(update_fields=["state", "error", "finished_at"])
    _tell(run)
    if run.study_id is not None:
        # The last one to end closes the study; the lock lets two that end together see each other.
        study = TrainingStudy.objects.select_for_update(no_key=True).get(pk=run.study_id)
        left = study.runs.filter(Q(state__in=_UNFINISHED)).exclude(pk=run.pk).exists()
        if study.finished_at is None and not left:
            study.finished_at = now()
            study.save(update_fields=["finished_at"])
            publish("models", {"study": str(study.uid), "state": "done", "runs": study.runs.count()})


def _tell(run: TrainingRun) -> None:
    publish(
        "models",
        {
            "job": str(run.uid),
            "family": run.family.name,
            "state": run.state,
            "stage": run.stage,
            "done": run.done,
            "total": run.total,
            "log_likelihood": run.log_likelihood[-1] if run.log_likelihood else None,
        },
    )
