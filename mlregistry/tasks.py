"""The training queue, where each job gets a process of its own, and the watch over shadows and canaries.

All of it is safe to run twice.
"""

from __future__ import annotations

import subprocess
import sys

import structlog
from celery import shared_task
from django.conf import settings

from mlregistry.services.autopromotion import autopromote
from mlregistry.services.canaries import canaries_check
from mlregistry.services.drift import drift_measure_all
from mlregistry.services.judging import judge_claim
from mlregistry.services.refitting import refits_request
from mlregistry.services.retention import KEEP, OLDER_THAN_DAYS, artefacts_prune
from mlregistry.services.shadowing import shadows_step
from mlregistry.services.training import training_claim
from mlregistry.services.truth import truth_measure_all

log = structlog.get_logger(__name__)
_children: list[subprocess.Popen[bytes]] = []


@shared_task(name="mlregistry.tasks.training_tick", queue="training", ignore_result=True)
def training_tick() -> None:
    """Start queued runs and judgements while there are free slots; each kind has as many.

    A fit may take longer than any message may: it runs in a child with low priority, which says that it lives in
    its own row. The worker only starts it.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    while (run := training_claim(slots=settings.TRAINING_SLOTS)) is not None:
        _start("train", "--run", str(run.uid))
        log.info("training_started", run=str(run.uid), family=run.family.name)
    while (verdict := judge_claim(slots=settings.TRAINING_SLOTS)) is not None:
        _start("models", "judge", "--run", str(verdict.uid))
        log.info("judgement_started", verdict=str(verdict.uid), version=str(verdict.version))


def _start(*words: str) -> None:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]
    _children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))  # noqa: S603  our own interpreter


@shared_task(name="mlregistry.tasks.canary_tick", queue="governance", ignore_result=True)
def canary_tick() -> None:
    """Look at every canary: a breach is rolled back at the first look after it, within seconds."""
    canaries_check()


@shared_task(name="mlregistry.tasks.shadow_tick", queue="governance", ignore_result=True)
def shadow_tick() -> None:
    """Let shadow versions decide about the bars that have closed."""
    shadows_step()


@shared_task(name="mlregistry.tasks.drift_tick", queue="training", ignore_result=True)
def drift_tick() -> None:
    """Score the bars since the last look under every model that is watched."""
    drift_measure_all()


@shared_task(name="mlregistry.tasks.truth_tick", queue="training", ignore_result=True)
def truth_tick() -> None:
    """Compare what decides with the true regimes, where the paper exchange tells them."""
    truth_measure_all()


@shared_task(name="mlregistry.tasks.autopromote_tick", queue="governance", ignore_result=True)
def autopromote_tick() -> None:
    """Take the next step of every family inside its approved envelope."""
    autopromote()


@shared_task(name="mlregistry.tasks.refit_tick", queue="training", ignore_result=True)
def refit_tick() -> None:
    """Queue the training runs that are due by an approved schedule."""
    refits_request()


@shared_task(name="mlregistry.tasks.prune_tick", queue="training", ignore_result=True)
def prune_tick() -> None:
    """Let go of the bytes of old versions that never traded, as `models prune` does."""
    artefacts_prune(older_than_days=OLDER_THAN_DAYS, keep=KEEP, actor="prune schedule")
